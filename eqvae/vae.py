"""The parts wired together: x -> encoder -> q(z|x) -> z = (t, v) -> decoder -> p(x|z).

Hard symmetry means q(z|g x) = g q(z|x) and D(g z) = g D(z); nothing here depends on whether the parts
obey it. Swap any of them for your own: an encoder maps images to a `GaussianPosterior`, a decoder maps
latents to images, and both say which `representation` they speak.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior
from eqvae.symmetry.representations import LatentRepresentation


@dataclass(frozen=True)
class VAEOutput:
    """What one pass through the model gives; every number in nats, one for each image.

    Attributes:
        posterior: q(z|x).
        z: the draw that was decoded, (B, D).
        reconstruction: mean of p(x|z), (B, C, H, W).
        log_likelihood: log p(x|z), (B,).
        kl: KL(q || p) by irrep block, each (B,).
    """

    posterior: GaussianPosterior
    z: Tensor
    reconstruction: Tensor
    log_likelihood: Tensor
    kl: dict[str, Tensor]

    @property
    def kl_total(self) -> Tensor:
        return sum(self.kl.values())

    @property
    def elbo(self) -> Tensor:
        """A one-sample estimate of the evidence lower bound, (B,)."""
        return self.log_likelihood - self.kl_total


class VAE(nn.Module):
    """A variational autoencoder whose latent carries a representation of SE(2) or E(2).

    Args:
        encoder: images (B, C, H, H) -> `GaussianPosterior`; has `.representation`.
        decoder: latents (B, D) -> images (B, C, H, H); has `.representation`.
        prior: p(z), with `.kl(q)` by block and `.sample(n)`.
        likelihood: p(x|z), with `.log_prob(x, decoded)` and `.mean(decoded)`.

    Raises:
        ValueError: if the parts speak different representations.

    Example:
        vae = eqvae.load_vae("runs/.../checkpoints/best.ckpt")
        z = vae.encode(x).mode
        turned = vae.decode(vae.representation.act(motion(angle=0.5), z[:1]))
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, likelihood: nn.Module
    ):
        super().__init__()
        spoken = [encoder.representation, decoder.representation, prior.representation]
        if any(r != spoken[0] for r in spoken):
            raise ValueError(
                f"encoder, decoder and prior must share one representation; got {spoken}."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood

    @property
    def representation(self) -> LatentRepresentation:
        return self.encoder.representation

    def encode(self, x: Tensor) -> GaussianPosterior:
        """q(z|x) for images (B, C, H, H)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z) for latents (B, D)."""
        return self.likelihood.mean(self.decoder(z))

    def forward(self, x: Tensor, *, sample: bool = True) -> VAEOutput:
        """Encode, draw (or take the mode, if not `sample`), decode and score."""
        posterior = self.encode(x)
        z = posterior.rsample() if sample else posterior.mode
        decoded = self.decoder(z)
        return VAEOutput(
            posterior=posterior,
            z=z,
            reconstruction=self.likelihood.mean(decoded),
            log_likelihood=self.likelihood.log_prob(x, decoded),
            kl=self.prior.kl(posterior),
        )

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Mean images of n draws from the prior."""
        return self.decode(self.prior.sample(n, generator))

    def transform(self, g: Tensor, x: Tensor) -> Tensor:
        """Move what the images show through the latent: D(g . E(x)), one motion for each image."""
        return self.decode(self.representation.act(g, self.encode(x).mode))
