"""Which pixels are the object, decoded from the same latent as the image: p(m | z) beside p(x | z).

    p(m_p = 1 | z) = sigmoid(sharpness (D_m(z)_p - 1/2))

D_m is any decoder of one channel. It starts near 0, a mask without an object, and 1 is the object. Where it
obeys D_m(g z) = g D_m(z), the mask turns and moves with the object: mask(rho(g) z) = g mask(z).
"""

import torch.nn.functional as F
from torch import Tensor, nn


class ObjectMask(nn.Module):
    """The mask of the object that a latent describes.

    Args:
        decoder: latents (B, D) -> (B, 1, H, H); has `.representation`, `.domain` and `.channels`.
        sharpness: steps of the logit from ground to object.

    Raises:
        ValueError: if the decoder draws more than one channel, or sharpness is not positive.
    """

    def __init__(self, decoder: nn.Module, sharpness: float = 12.0):
        super().__init__()
        if decoder.channels != 1:
            raise ValueError(
                f"decoder of a mask must draw 1 channel; got {decoder.channels}. Set its channels, or those "
                "of its harmonics, to 1."
            )
        if not sharpness > 0:
            raise ValueError(f"sharpness of a mask must be positive; got {sharpness}.")
        self.decoder = decoder
        self.sharpness = sharpness

    def logits(self, z: Tensor) -> Tensor:
        """log odds that a pixel belongs to the object, (B, 1, H, H)."""
        return self.sharpness * (self.decoder(z) - 0.5)

    def forward(self, z: Tensor) -> Tensor:
        """Probabilities that a pixel belongs to the object, (B, 1, H, H), of latents (B, D)."""
        return self.logits(z).sigmoid()

    def log_prob(self, mask: Tensor, z: Tensor) -> Tensor:
        """log p(m|z) in nats, summed over the pixels, (B,), of masks (B, 1, H, H) in [0, 1]."""
        by_pixel = F.binary_cross_entropy_with_logits(self.logits(z), mask, reduction="none")
        return -by_pixel.flatten(1).sum(dim=1)
