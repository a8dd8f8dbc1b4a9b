"""How content, pose and cluster are read from a Gaussian posterior of a latent."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.frame import clearest_frame, read_content
from eqvae.distributions.pose import PosePosterior
from eqvae.symmetry.motions import compose, motion, with_angle, with_log_scale
from eqvae.symmetry.representations import Representation

_BINS = 360  # of the angle, when a pose is asked for


class Located(Protocol):
    """What a reader needs of a posterior: means and standard deviations by coordinate, each (B, D).

    Attributes:
        representation: of the latent.
        mode: the means.
        loc: the same.
        scale: standard deviations.
        reading: what the reader's `read` gave.
    """

    representation: Representation
    mode: Tensor
    loc: Tensor
    scale: Tensor
    reading: Any


class Reader(ABC):
    """Content, pose and cluster of a posterior; all of them from `read`, which a posterior asks once."""

    def read(self, q: Located) -> Any:
        """What the three below share."""
        return None

    def settled(self, q: Located) -> "Reader":
        """The same reader, with whatever it chooses by looking at posteriors chosen by these."""
        return self

    @property
    def shows_symmetry(self) -> bool:
        """Whether the pose can have several modes."""
        return True

    @abstractmethod
    def has_pose(self, q: Located) -> bool:
        """Whether an angle can be read."""

    @abstractmethod
    def content(self, q: Located) -> ContentPosterior:
        """q of what no motion changes."""

    @abstractmethod
    def pose(self, q: Located) -> PosePosterior:
        """q of the motion that brings the object where the image shows it."""

    @abstractmethod
    def cluster(self, q: Located) -> Tensor | None:
        """log p(k | x), (B, K); None where there are no clusters."""


@dataclass(frozen=True)
class FrameReader(Reader):
    """Reads the angle from one copy of psi_1, and content as v with that angle undone; knows no clusters.

    Args:
        copy: of psi_1; None for the clearest one of the posteriors at hand.
    """

    copy: int | None = None

    @property
    def shows_symmetry(self) -> bool:
        return False

    def settled(self, q: Located) -> "FrameReader":
        return FrameReader(self._copy(q)) if self.has_pose(q) else self

    def has_pose(self, q: Located) -> bool:
        return q.representation.has_frame

    def content(self, q: Located) -> ContentPosterior:
        part = q.representation.slices.vector
        still = q.loc[:, part]
        if self.has_pose(q):
            still = read_content(q.representation, q.loc, self._copy(q))
        return ContentPosterior(still, q.scale[:, part].log())

    def pose(self, q: Located) -> PosePosterior:
        """The position, and the angle in `_BINS` bins about its mean.

        Raises:
            ValueError: if the latent has no such copy.
        """
        u, scale = self.frame(q)
        place, spread = place_of(q)
        angle, n = torch.atan2(u[:, 1], u[:, 0]), len(u)
        turns = torch.arange(_BINS, dtype=u.dtype, device=u.device) * (2 * math.pi / _BINS)
        centre = with_angle(place, angle)
        turned = motion(turns, dtype=u.dtype).repeat(n, 1)  # about the object's own centre
        bins = compose(centre.repeat_interleave(_BINS, dim=0), turned).unflatten(0, (n, _BINS))
        log_density = projected_normal((u / scale).norm(dim=1).double(), turns.double())
        width = torch.full((n, 1), 0.6 * 2 * math.pi / _BINS).to(u)
        covariance = torch.diag_embed(torch.cat([width, spread], dim=1).square())
        return PosePosterior(bins, (log_density - math.log(_BINS)).to(u), covariance)

    def cluster(self, q: Located) -> None:
        return None

    def frame(self, q: Located) -> tuple[Tensor, Tensor]:
        """Mean and standard deviations of the copy of psi_1, each (B, 2).

        Raises:
            ValueError: if the latent has no such copy.
        """
        columns = q.representation.frame_columns(self._copy(q))
        return q.loc[:, columns], q.scale[:, columns]

    def _copy(self, q: Located) -> int:
        if self.copy is not None or not q.representation.has_frame:
            return self.copy or 0
        return clearest_frame(q)


def place_of(q: Located) -> tuple[Tensor, Tensor]:
    """Where objects are, and at which scale: motions without turn, and how sure that is.

    Returns:
        Motions (B, 4), with a log-scale (B, 5) where the latent has one, and standard deviations of x and y
        in the object's own pixels and of the log-scale, (B, 2) or (B, 3).
    """
    where, spread = position_of(q)
    place = motion(torch.zeros_like(where[:, 0]), where, dtype=where.dtype)
    if not q.representation.scale:
        return place, spread
    size = q.representation.slices.scale
    spread = torch.cat([spread * torch.exp(-q.loc[:, size]), q.scale[:, size]], dim=1)
    return with_log_scale(place, q.loc[:, size.start]), spread


def position_of(q: Located) -> tuple[Tensor, Tensor]:
    """Mean and standard deviations of the position, pixels, each (B, 2).

    A latent without a position is of objects in the middle of their images, to a pixel.
    """
    where = q.representation.slices.position
    if q.representation.position:
        return q.loc[:, where], q.scale[:, where]
    return q.loc.new_zeros(len(q.loc), 2), q.loc.new_ones(len(q.loc), 2)


def projected_normal(length: Tensor, offset: Tensor) -> Tensor:
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
