"""Content, pose and cluster of a Gaussian latent, read by an orbit mixture: no network, no search.

clusters            p(k | v)
pose                p(h | v), a peak for each symmetry of the object, flat for a round one, see `turns`
canonical content   rho(h)^-1 v at the likeliest turn h
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.distributions.orbit.turns import Reading, TurnSearch
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.reader import Reader, place_of
from eqvae.symmetry.motions import (
    has_scale,
    log_scale_of,
    shift_of,
    with_log_scale,
    with_shift,
)

_ROWS = 250  # latents at a time
_BIN = 0.6  # standard deviation of the angle within a bin, of the bins' distance: they just join


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
        place, spread = place_of(q)
        many = found.elements.shape[1]
        count = many // (1 + self.reflections)
        width = torch.full_like(spread[:, :1], _BIN * 2 * math.pi / count)
        bins = with_shift(found.elements, shift_of(place)[:, None].expand(-1, many, -1))
        if has_scale(place):
            bins = with_log_scale(bins, log_scale_of(place)[:, None].expand(-1, many))
        covariance = torch.diag_embed(torch.cat([width, spread], 1).square())
        return PosePosterior(bins, found.log_weights, covariance, self.reflections)

    def cluster(self, q: GaussianPosterior) -> Tensor:
        return q.reading.cluster

    @property
    def reflections(self) -> bool:
        return self.mixture.symmetry.reflections and not self.mixture.is_trivial

    def read(self, q: GaussianPosterior) -> Reading:
        """Joint posterior of component and turn at the means."""
        return self.read_vector(q.loc[:, q.representation.slices.vector])

    def read_vector(self, v: Tensor, component: Tensor | None = None) -> Reading:
        """Joint posterior of component and turn for v (B, D), or for v of known components (B,)."""
        here = v.to(self.mixture.loc.device)
        search, parts = TurnSearch(self.mixture, here), [here.split(_ROWS)]
        if component is not None:
            parts.append(component[:, None].split(_ROWS))
        found = [search(*part) for part in zip(*parts, strict=True)]
        names = ("elements", "log_weights", "cluster")
        return Reading(*(torch.cat([getattr(f, name) for f in found]).to(v) for name in names))
