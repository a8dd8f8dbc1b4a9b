"""Gaussian posterior and prior of a latent.

    q(z|x) = N(loc, diag(scale^2)),   p(z) = N(0, diag(s^2)).

The posterior has one variance for each irrep copy: then diag(scale^2) commutes with rho(g), the posterior
of a moved image is the moved posterior, and KL(q || p) does not change under rotations and mirrors.
All densities are in nats, summed over the event, one number for each image.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.posterior import Posterior
from eqvae.symmetry.motions import compose, motion
from eqvae.symmetry.representations import Representation

_BINS = 360  # of the angle, when a pose is asked for
START_LOG_SCALE = -2.0  # of encoders; from 0 or -1, coordinates may drown in noise for good


@dataclass(frozen=True)
class GaussianPosterior(Posterior):
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
        """The distribution of g . z for z ~ q: the means move, the scales stay."""
        return replace(self, loc=self.representation.act(g, self.loc))

    @property
    def content(self) -> ContentPosterior:
        """q of the copies of psi_0.

        Raises:
            ValueError: if the latent has none.
        """
        part = self.representation.slices.content
        if part == slice(0, 0):
            raise ValueError(
                f"a latent {self.representation} has no content: it holds no copy of psi_0. "
                "Set latent.multiplicities[0] >= 1."
            )
        return ContentPosterior(self.loc[:, part], self.scale[:, part].log())

    @property
    def pose(self) -> PosePosterior:
        """q of the position and of the angle of the first psi_1, see `pose_by`."""
        return self.pose_by(0)

    def pose_by(self, copy: int) -> PosePosterior:
        """q of the position and of the angle of a copy of psi_1, in `_BINS` bins about its mean angle.

        Raises:
            ValueError: if the latent has no position or no such copy.
        """
        u, scale = self._frame(copy)
        if not self.representation.position:
            raise ValueError(
                f"a latent {self.representation} has no pose: it holds no position. "
                "Set latent.position=true."
            )
        where = self.representation.slices.position
        angle, n = torch.atan2(u[:, 1], u[:, 0]), len(u)
        turns = torch.arange(_BINS, dtype=u.dtype, device=u.device) * (2 * math.pi / _BINS)
        centre = motion(angle, self.loc[:, where], dtype=u.dtype)
        turned = motion(turns, dtype=u.dtype).repeat(n, 1)  # about the object's own centre
        bins = compose(centre.repeat_interleave(_BINS, dim=0), turned).unflatten(0, (n, _BINS))
        log_density = _projected_normal((u / scale).norm(dim=1).double(), turns.double())
        width = torch.full((n, 1), 0.6 * 2 * math.pi / _BINS).to(u)
        covariance = torch.diag_embed(torch.cat([width, self.scale[:, where]], dim=1).square())
        return PosePosterior(bins, (log_density - math.log(_BINS)).to(u), covariance)

    @property
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y, pixels, (B, 2)."""
        return self.scale[:, self.representation.slices.position]

    def angle_log_density(self, copy: int = 0, points: int = 360) -> Tensor:
        """The distribution of the frame's angle under q(z|x) on a grid: the projected normal distribution.

        It has one mode: a Gaussian latent can't say that an object looks the same from two sides.

        Args:
            copy: which copy of psi_1 is the frame.
            points: angles 0, 2 pi / points, ...

        Returns:
            log q with respect to the Haar measure d theta / 2 pi, nats, (B, points), float64; the mean
            of q over the grid is 1.

        Raises:
            ValueError: if the latent has no such copy.
        """
        u, scale = self._frame(copy)
        u = u.double() / scale.double()
        theta = torch.arange(points, dtype=torch.float64, device=u.device) * (2 * math.pi / points)
        offset = theta - torch.atan2(u[:, 1:], u[:, :1])
        return _projected_normal(u.norm(dim=1), offset)

    def _frame(self, copy: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviations of a copy of psi_1, each (B, 2)."""
        columns = self.representation.frame_columns(copy)
        return self.loc[:, columns], self.scale[:, columns]


def _projected_normal(length: Tensor, offset: Tensor) -> Tensor:
    """log q of angles under a Gaussian in the plane, normalised on the grid, nats.

        q(theta) = exp(-r^2 / 2) (1 + D Phi(D) / phi(D)),    D = r cos(theta - theta_0)

    Args:
        length: r, of the mean in standard deviations, (B,).
        offset: theta - theta_0 on a grid of the circle, (P,) or (B, P).

    References: Mardia, Jupp, Directional statistics (2000), section 3.5.6.
    """
    along = length[:, None] * offset.cos()
    # Phi(D) / phi(D) overflows for large D and cancels for very negative D
    large = along.clamp_min(1e-12)
    ratio = large.log() + large**2 / 2 + 0.5 * math.log(2 * math.pi) + torch.special.log_ndtr(large)
    small = along.clamp_max(0.0)
    hazard = math.sqrt(math.pi / 2) * torch.special.erfcx(-small / math.sqrt(2))
    tail = (small * hazard).clamp_min(-1 + 1e-15).log1p()
    density = torch.where(along > 0, F.softplus(ratio), tail) - length[:, None].square() / 2
    # of a distribution narrower than the grid, the points alone hold too much or too little
    return density - (density.logsumexp(dim=1, keepdim=True) - math.log(density.shape[1]))


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
        scale[representation.slices.position] = position_scale
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
