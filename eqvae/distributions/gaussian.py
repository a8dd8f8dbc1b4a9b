"""Posterior, prior and likelihoods.

    q(z|x) = N(loc, diag(scale^2)),   p(z) = N(0, diag(s^2)),   p(x|z) = N(mean(z), sigma^2) or Bernoulli.

The posterior has one variance for each irrep copy: then diag(scale^2) commutes with rho(g), the posterior
of a moved image is the moved posterior, and KL(q || p) does not change under rotations and mirrors.
All densities are in nats, summed over the event, one number for each image.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.symmetry.representations import Representation

_LOG_2PI = math.log(2 * math.pi)
START_LOG_SCALE = -2.0  # of encoders; from 0 or -1, coordinates may drown in noise for good


@dataclass(frozen=True)
class GaussianPosterior:
    """q(z|x) with one variance for each irrep copy.

    Attributes:
        representation: the latent space.
        loc: means, (B, D); the position in pixels.
        log_scale: log standard deviations, (B, num_copies).
    """

    representation: Representation
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

    @property
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y, pixels, (B, 2)."""
        return self.scale[:, :2]

    def angle_log_density(self, copy: int = 0, points: int = 360) -> Tensor:
        """The law of the frame's angle under q(z|x), on a grid of angles: the projected normal law.

            q(theta) = exp(-r^2 / 2) (1 + D Phi(D) / phi(D)),    r = |loc| / s,  D = r cos(theta - theta_0)

        It has one mode: a Gaussian latent can't say that an object looks the same from two sides.

        Args:
            copy: which copy of psi_1 is the frame.
            points: angles 0, 2 pi / points, ...

        Returns:
            log q with respect to the Haar measure d theta / 2 pi, nats, (B, points), float64; the mean
            of q over the grid is 1.

        References: Mardia, Jupp, Directional statistics (2000), section 3.5.6.
        """
        block = next(b for b in self.representation.blocks if b.name == "psi1")
        columns = slice(block.start + 2 * copy, block.start + 2 * copy + 2)
        u = self.loc[:, columns].double() / self.scale[:, columns].double()
        theta = torch.arange(points, dtype=torch.float64, device=u.device) * (2 * math.pi / points)
        along = u[:, :1] * theta.cos() + u[:, 1:] * theta.sin()
        # Phi(D) / phi(D) overflows for large D and cancels for very negative D
        large = along.clamp_min(1e-12)
        ratio = (
            large.log() + large**2 / 2 + 0.5 * math.log(2 * math.pi) + torch.special.log_ndtr(large)
        )
        small = along.clamp_max(0.0)
        hazard = math.sqrt(math.pi / 2) * torch.special.erfcx(-small / math.sqrt(2))
        tail = (small * hazard).clamp_min(-1 + 1e-15).log1p()
        factor = torch.where(along > 0, torch.nn.functional.softplus(ratio), tail)
        density = factor - u.square().sum(dim=1, keepdim=True) / 2
        # of a law narrower than the grid, the points alone hold too much or too little
        return density - (density.logsumexp(dim=1, keepdim=True) - math.log(points))


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

    def __init__(self, representation: Representation, position_scale: float = 5.0):
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


def concatenated(parts: Sequence[Any]) -> Any:
    """One posterior of all rows from the posteriors of batches."""
    return _joined(parts[0], parts, lambda tensors: torch.cat(tensors))


def rows_of(posterior: Any, rows: Any) -> Any:
    """The posterior of some rows: an index, a mask or a slice."""
    return _joined(posterior, [posterior], lambda tensors: tensors[0][rows])


def to_device(posterior: Any, device: torch.device | str) -> Any:
    """The posterior on another device."""
    return _joined(posterior, [posterior], lambda tensors: tensors[0].to(device))


def _joined(first: Any, parts: Sequence[Any], join: Callable[[list[Tensor]], Tensor]) -> Any:
    """A posterior of joined tensors; posteriors inside posteriors are joined likewise."""
    changed = {}
    for f in fields(first):
        values = [getattr(part, f.name) for part in parts]
        if torch.is_tensor(values[0]):
            changed[f.name] = join(values)
        elif hasattr(values[0], "rsample") or hasattr(values[0], "sample"):
            changed[f.name] = _joined(values[0], values, join)
    return replace(first, **changed)


class _Bounded(torch.autograd.Function):
    """See `bounded`. Forward mode has the derivative of the clamp: it trains nothing."""

    @staticmethod
    def forward(x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        x, *ctx.bounds = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        outward = ((x <= low) & (grad > 0)) | ((x >= high) & (grad < 0))
        return grad.masked_fill(outward, 0.0), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        return tangent.masked_fill((x < low) | (x > high), 0.0)


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """x clamped to [low, high], with the gradient that leads back inside.

    Under that of `torch.clamp`, zero beyond the bounds, what one large step throws out stays there for
    good, such as the scale of a position at the size of the image.
    """
    return _Bounded.apply(x, low, high)


def normal_log_prob(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(z; loc, scale^2) by coordinate, nats."""
    return -0.5 * ((z - loc) / scale).square() - scale.log() - 0.5 * _LOG_2PI
