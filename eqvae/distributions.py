"""Posterior, prior and likelihoods.

    q(z|x) = N(loc, diag(scale^2)),   p(z) = N(0, diag(s^2)),   p(x|z) = N(mean(z), sigma^2) or Bernoulli.

The posterior has one variance for each irrep copy: then diag(scale^2) commutes with rho(g), the posterior
of a moved image is the moved posterior, and KL(q || p) does not change under rotations and mirrors.
All densities are in nats, summed over the event, one number for each image.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.symmetry.representations import LatentRepresentation

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class GaussianPosterior:
    """q(z|x) with one variance for each irrep copy.

    Attributes:
        representation: the latent space.
        loc: means, (B, D); the position in pixels.
        log_scale: log standard deviations, (B, num_copies).
    """

    representation: LatentRepresentation
    loc: Tensor
    log_scale: Tensor

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviations by coordinate, (B, D)."""
        return self.log_scale.exp()[:, self.representation.copy_index.to(self.loc.device)]

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        """A reparameterised draw, (B, D)."""
        noise = torch.randn(
            self.loc.shape, generator=generator, dtype=self.loc.dtype, device=self.loc.device
        )
        return self.loc + self.scale * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, (B,)."""
        return normal_log_prob(z, self.loc, self.scale).sum(dim=1)

    def act(self, g: Tensor) -> "GaussianPosterior":
        """The law of g . z for z ~ q: the means move, the scales stay."""
        return replace(self, loc=self.representation.act(g, self.loc))


class GaussianPrior(nn.Module):
    """p(z) = N(0, I) on v and N(0, position_scale^2 I) on the position.

    Rotations and mirrors leave it unchanged. No proper prior is unchanged by shifts, so the position's
    scale should cover the field of view that the data use.

    Args:
        representation: the latent space.
        position_scale: standard deviation of the position, pixels.

    Raises:
        ValueError: if position_scale is not positive.
    """

    def __init__(self, representation: LatentRepresentation, position_scale: float = 5.0):
        super().__init__()
        if not position_scale > 0:
            raise ValueError(f"position_scale must be positive (pixels); got {position_scale}.")
        self.representation = representation
        scale = torch.ones(representation.dim)
        if representation.position:
            scale[:2] = position_scale
        self.register_buffer("scale", scale, persistent=False)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, len(self.scale), generator=generator, dtype=self.scale.dtype)
        return noise.to(self.scale.device) * self.scale

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (B,)."""
        return normal_log_prob(z, torch.zeros_like(z), self.scale).sum(dim=1)

    def kl(self, q: GaussianPosterior) -> dict[str, Tensor]:
        """KL(q || p) in nats by irrep block, each (B,); >= 0, and 0 at the prior."""
        ratio = q.scale / self.scale
        by_coordinate = 0.5 * (ratio**2 + (q.loc / self.scale) ** 2 - 1) - ratio.log()
        return {
            block.name: by_coordinate[:, block.slice].sum(dim=1)
            for block in self.representation.blocks
        }


class GaussianLikelihood(nn.Module):
    """p(x|z) = N(x; mean, variance), the same variance for every pixel.

    Args:
        variance: sigma^2, on images in [0, 1].
        learnable: whether sigma^2 is trained with the rest.

    Raises:
        ValueError: if variance is not positive.
    """

    def __init__(self, variance: float = 0.02, learnable: bool = False):
        super().__init__()
        if not variance > 0:
            raise ValueError(f"variance must be positive; got {variance}.")
        log_variance = torch.tensor(math.log(variance))
        if learnable:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)

    def mean(self, decoded: Tensor) -> Tensor:
        """The mean image of what the decoder gives."""
        return decoded

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        squared = (x - decoded).square().flatten(1).sum(dim=1)
        size = x[0].numel()
        return -0.5 * (squared / self.log_variance.exp() + size * (_LOG_2PI + self.log_variance))

    def constant(self, x: Tensor) -> Tensor:
        """The part of log p(x|z) that no reconstruction changes: log p at a perfect one, nats."""
        return -0.5 * x[0].numel() * (_LOG_2PI + self.log_variance)


class BernoulliLikelihood(nn.Module):
    """p(x|z) = Bernoulli(sigmoid(decoded)) by pixel, for binary images (or means in [0, 1])."""

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid()

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        by_pixel = -F.binary_cross_entropy_with_logits(decoded, x, reduction="none")
        return by_pixel.flatten(1).sum(dim=1)

    def constant(self, x: Tensor) -> Tensor:
        return x.new_zeros(())


def normal_log_prob(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(z; loc, scale^2) by coordinate, nats."""
    return -0.5 * ((z - loc) / scale).square() - scale.log() - 0.5 * _LOG_2PI
