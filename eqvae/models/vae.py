"""The parts wired together: x -> encoder -> q(z|x) -> z = (t, v) -> decoder -> p(x|z).

Hard symmetry means q(z|g x) = g q(z|x) and D(g z) = g D(z); nothing here depends on whether the parts
obey it. Swap any of them for your own: an encoder maps images to a `GaussianPosterior`, a decoder maps
latents to images, and both say which `representation` they speak.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior
from eqvae.symmetry.representations import Representation


@dataclass(frozen=True)
class VAEOutput:
    """What one pass through the model gives; every number in nats, one for each image.

    What training on a marginal likelihood can do without is made when first asked for.

    Attributes:
        log_likelihood: log p(x|z), (B,).
        kl: KL(q || p) by irrep block, each (B,).
        squared_error: |x - mean(z)|^2 summed over the pixels, (B,).
        infer, draw, decode: how to get the next three.
    """

    log_likelihood: Tensor
    kl: dict[str, Tensor]
    squared_error: Tensor
    infer: Callable[[], Any]
    draw: Callable[[Any], Tensor]
    decode: Callable[[Any, Tensor], Tensor]

    @cached_property
    def posterior(self) -> Any:
        """q(z|x)."""
        return self.infer()

    @cached_property
    def z(self) -> Tensor:
        """A draw (the mode, if nothing was to be sampled), (B, D)."""
        return self.draw(self.posterior)

    @cached_property
    def reconstruction(self) -> Tensor:
        """Mean of p(x|z), (B, C, H, H)."""
        return self.decode(self.posterior, self.z)

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

    uses_optics = False  # whether `forward` and `encode` take the `transfer` of each image's optics

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
    def representation(self) -> Representation:
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
        mean = self.likelihood.mean(decoded)
        return VAEOutput(
            log_likelihood=self.likelihood.log_prob(x, decoded),
            kl=self.prior.kl(posterior),
            squared_error=(x - mean).square().flatten(1).sum(dim=1),
            infer=lambda: posterior,
            draw=lambda posterior: z,
            decode=lambda posterior, z: mean,
        )

    @torch.no_grad()
    def elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        """ELBO of images with the draw that standard normal noise (B, D) makes, (B,), nats."""
        q = self.encode(x)
        return self.log_prob(x, q.loc + q.scale * noise) - sum(self.prior.kl(q).values())

    def reconstruct(self, x: Tensor, posterior: GaussianPosterior) -> Tensor:
        """Mean images at the mode of the posterior of images x."""
        return self.decode(posterior.mode)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        return self.likelihood.log_prob(x, self.decoder(z))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Mean images of n draws from the prior."""
        return self.decode(self.prior.sample(n, generator))

    def transform(self, g: Tensor, x: Tensor) -> Tensor:
        """Move what the images show through the latent: D(g . E(x)), one motion for each image."""
        return self.decode(self.representation.act(g, self.encode(x).mode))
