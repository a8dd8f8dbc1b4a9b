"""Gaussian posterior and prior of a latent.

    q(z|x) = N(loc, diag(scale^2)),   p(z) = N(0, diag(s^2)).

The posterior has one variance for each irrep copy: then diag(scale^2) commutes with rho(g), the posterior
of a moved image is the moved posterior, and KL(q || p) does not change under rotations and mirrors.
All densities are in nats, summed over the event, one number for each image.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.posterior import Posterior
from eqvae.distributions.reader import FrameReader, Reader
from eqvae.symmetry.representations import Representation

START_LOG_SCALE = -2.0  # of encoders; from 0 or -1, coordinates may drown in noise for good


@dataclass(frozen=True)
class GaussianPosterior(Posterior):
    """q(z|x) with one variance for each irrep copy.

    Attributes:
        representation: the latent space.
        loc: means, (B, D); the position in pixels.
        log_scale: log standard deviations, (B, num_copies).
        reader: how content, pose and cluster are read from it.
    """

    representation: Representation
    loc: Tensor
    log_scale: Tensor
    reader: Reader = field(default_factory=FrameReader)

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
        """The distribution of g . z for z ~ q: the means move, and positions spread with scale."""
        latent = self.representation
        return replace(
            self, loc=latent.act(g, self.loc), log_scale=latent.spread(g, self.log_scale)
        )

    @cached_property
    def reading(self) -> Any:
        """What the reader says of these latents."""
        return self.reader.read(self)

    @cached_property
    def content(self) -> ContentPosterior:
        return self.reader.content(self)

    @cached_property
    def pose(self) -> PosePosterior:
        return self.reader.pose(self)

    @property
    def cluster(self) -> Tensor | None:
        return self.reader.cluster(self)

    @property
    def has_pose(self) -> bool:
        return self.reader.has_pose(self)

    @property
    def shows_symmetry(self) -> bool:
        return self.reader.shows_symmetry

    def settled(self, q: "GaussianPosterior | None" = None) -> "GaussianPosterior":
        return replace(self, reader=self.reader.settled(self if q is None else q))

    @property
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y, pixels, (B, 2)."""
        return self.scale[:, self.representation.slices.position]

    def entropy_by_block(self) -> dict[str, Tensor]:
        """-E log q of each block, nats, each (B,)."""
        by_coordinate = self.log_scale[:, self.representation.copy_index.to(self.loc.device)]
        by_coordinate = by_coordinate + 0.5 * math.log(2 * math.pi * math.e)
        return {
            block.name: by_coordinate[:, block.slice].sum(dim=1)
            for block in self.representation.blocks
        }


class GaussianPrior(nn.Module):
    """p(z) = N(0, I) on v, N(0, position_scale^2 I) on the position, and on a log-scale N(0, width^2).

    Rotations and mirrors leave it unchanged. No proper prior is unchanged by shifts or scales, so these
    widths should cover the field of view and the sizes that the data have.

    Args:
        representation: the latent space.
        position_scale: standard deviation of the position, pixels.
        log_scale_width: standard deviation of the log-scale, where the latent has one.

    Raises:
        ValueError: if one of them is not positive.
    """

    def __init__(
        self,
        representation: Representation,
        position_scale: float = 5.0,
        log_scale_width: float = 0.5,
    ):
        super().__init__()
        if not position_scale > 0:
            raise ValueError(f"position_scale must be positive (pixels); got {position_scale}.")
        if not log_scale_width > 0:
            raise ValueError(
                f"log_scale_width must be positive, such as 0.5 for scales from 0.6 to 1.6; got "
                f"{log_scale_width}."
            )
        self.representation = representation
        scale = torch.ones(representation.dim)
        scale[representation.slices.position] = position_scale
        scale[representation.slices.scale] = log_scale_width
        self.register_buffer("scale", scale, persistent=False)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, len(self.scale), generator=generator, dtype=self.scale.dtype)
        return noise.to(self.scale.device) * self.scale

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (B,)."""
        return normal_log_prob(z, torch.zeros_like(z), self.scale).sum(dim=1)

    def knows_kinds(self, groups: int | None = None) -> bool:
        """Whether `kinds` can tell so many groups of objects apart: this prior knows none."""
        return False

    rounds = 0  # of `Model.settle` that make its samples better

    @property
    def reader(self) -> Reader:
        """How content, pose and cluster are read from a posterior: by a frame vector."""
        return FrameReader()

    def kl(self, q: GaussianPosterior, z: Tensor | None = None) -> dict[str, Tensor]:
        """KL(q || p) in nats by irrep block, each (B,); >= 0, and 0 at the prior. Closed: needs no draw."""
        ratio = q.scale / self.scale
        by_coordinate = 0.5 * (ratio**2 + (q.loc / self.scale) ** 2 - 1) - ratio.log()
        return {
            block.name: by_coordinate[:, block.slice].sum(dim=1)
            for block in self.representation.blocks
        }

    def kl_in_all(self, q: GaussianPosterior, z: Tensor | None = None) -> Tensor:
        """The sum of `kl` over the blocks, (B,)."""
        return sum(self.kl(q, z).values())
