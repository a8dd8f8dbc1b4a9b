"""Content, pose and cluster of a Gaussian latent, read by an orbit mixture: no network, no search.

    clusters            p(k | v)
    pose                p(h | v), a peak for each symmetry of the object, flat for a round one
    canonical content   rho(h)^-1 v at the likeliest turn h

The grid is laid so that the likeliest turn of each latent is one of its points: from the best point of the
grid a parabola through log p(h | v) and its neighbours leads there.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.orbit.kernel import parabola, shares
from eqvae.distributions.orbit.mixture import OrbitMixture, resolving_angles
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.reader import Reader, position_of
from eqvae.symmetry.motions import compose, motion, with_shift

_STEP = 1.0  # of the grid of turns, of the sharpest component's standard deviation
_STEPS = 2  # of the parabola
_COARSE = 64  # angles, of the sum that finds the likeliest components
_FINE = 128  # angles, of the sum over turns of each component
_LIKELIEST = 4  # components that turns are read from
_ROWS = 250  # latents at a time
_BIN = 0.6  # standard deviation of the angle within a bin, of the bins' distance: they just join


@dataclass(frozen=True)
class Reading:
    """What a mixture says of latents.

    Attributes:
        elements: motions h without shift on each latent's own grid, (B, A, 4).
        log_weights: log p(h | v), (B, A).
        cluster: log p(k | v), (B, K).
    """

    elements: Tensor
    log_weights: Tensor
    cluster: Tensor

    @property
    def mode(self) -> Tensor:
        """The likeliest h, (B, 4)."""
        best = self.log_weights.argmax(1)
        return self.elements[torch.arange(len(best), device=best.device), best]


@dataclass(frozen=True)
class OrbitReader(Reader):
    """Reads posteriors by an orbit mixture.

    Args:
        mixture: of v.
    """

    mixture: OrbitMixture

    def has_pose(self, q: GaussianPosterior) -> bool:
        return True

    def content(self, q: GaussianPosterior) -> ContentPosterior:
        """Canonical content: v turned back by its likeliest pose, (B, D - 2)."""
        part = q.representation.slices.vector
        back = self.mixture.symmetry.inverse(q.reading.mode)
        still = self.mixture.representation.act(back, q.loc[:, part])
        return ContentPosterior(still, q.scale[:, part].log())

    def pose(self, q: GaussianPosterior) -> PosePosterior:
        found = q.reading
        shift, spread = position_of(q)
        count = found.elements.shape[1] // (1 + self.reflections)
        width = torch.full_like(shift[:, :1], _BIN * 2 * math.pi / count)
        bins = with_shift(found.elements, shift[:, None].expand(-1, found.elements.shape[1], -1))
        covariance = torch.diag_embed(torch.cat([width, spread], 1).square())
        return PosePosterior(bins, found.log_weights, covariance, self.reflections)

    def cluster(self, q: GaussianPosterior) -> Tensor:
        return q.reading.cluster

    @property
    def reflections(self) -> bool:
        return self.mixture.symmetry.reflections and not self.mixture.is_trivial

    @cached_property
    def angles(self) -> int:
        """Of the grid that turns are told by: of a symmetric object sums are right long before peaks are."""
        return resolving_angles(self.mixture, _STEP)

    def read(self, q: GaussianPosterior) -> Reading:
        """Joint posterior of component and turn at the means."""
        return self.read_vector(q.loc[:, q.representation.slices.vector])

    @torch.no_grad()
    def read_vector(self, v: Tensor, component: Tensor | None = None) -> Reading:
        """Joint posterior of component and turn for v (B, D), or for v of known components (B,)."""
        like, v = v, v.to(self.mixture.loc.device)
        mixture = self.mixture
        if component is None:
            about = mixture.cluster_log_prob(v, min(_COARSE, mixture.angles))
            component = about.topk(min(_LIKELIEST, mixture.components), 1).indices
        else:
            component = component[:, None]
        parts = zip(v.split(_ROWS), component.split(_ROWS), strict=True)
        found = [self._turns(*part) for part in parts]
        elements, by_turn = (torch.cat(part).to(like) for part in zip(*found, strict=True))
        reading = Reading(elements, by_turn, by_turn.new_zeros(len(v), 0))
        # a grid through the likeliest turn tells kinds the same way whatever that turn is
        still = mixture.representation.act(mixture.symmetry.inverse(reading.mode).to(v), v)
        return replace(
            reading, cluster=mixture.cluster_log_prob(still, min(_FINE, mixture.angles)).to(like)
        )

    def _turns(self, v: Tensor, component: Tensor) -> tuple[Tensor, Tensor]:
        """The elements that turns are told by (B, A, 4), and log p(h | v), (B, A)."""
        grid = self.mixture.grid(self.angles).to(v)
        offset = v.new_zeros(len(v))
        continuous = not (self.mixture.symmetry.is_finite or self.mixture.is_trivial)
        for _ in range(_STEPS if continuous else 0):
            offset = offset + self._peak(self._posterior(v, offset, component), grid)
        by_turn = self._posterior(v, offset, component)
        first = motion(offset, dtype=v.dtype).repeat_interleave(len(grid), dim=0)
        elements = compose(first, grid.repeat(len(v), 1)).unflatten(0, (len(v), -1))
        return elements, by_turn

    def _posterior(self, v: Tensor, offset: Tensor, component: Tensor) -> Tensor:
        """log p(h | v) on the grid turned by `offset` (B,), (B, A), by the components (B, T)."""
        back = self.mixture.representation.act(motion(-offset, dtype=v.dtype), v)
        r, _ = shares(self.mixture.log_joint_of(back, component, self.angles))
        return r.sum(2).T.log()

    def _peak(self, log_p: Tensor, grid: Tensor) -> Tensor:
        """From the best point of the grid to the top of the parabola about it, radians, (B,)."""
        count = len(grid) // (1 + self.reflections)
        best = log_p.argmax(1, keepdim=True)
        chirality, at = best // count, best % count
        around = [log_p.gather(1, chirality * count + (at + i) % count)[:, 0] for i in (-1, 0, 1)]
        return parabola(*around) * (2 * math.pi / count)
