"""By which turn each latent is seen, and which component it is of: a search on a grid, then off it.

The grid is laid so that the likeliest turn of each latent is one of its points: from the best point of the
grid a parabola through log p(h | v) and its neighbours leads there.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.orbit.kernel import Kernel, parabola, shares
from eqvae.distributions.orbit.mixture import OrbitMixture, resolving_angles
from eqvae.symmetry.motions import compose, motion

_STEP = 1.0  # of the grid of turns, of the sharpest component's standard deviation
_STEPS = 2  # of the parabola
_COARSE = 64  # angles, of the sum that finds the likeliest components
_FINE = 128  # angles, of the sum over turns of each component
_LIKELIEST = 4  # components that turns are read from


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
        best = self.log_weights.argmax(1, keepdim=True)
        return self.elements.gather(1, best[:, :, None].expand(-1, -1, 4))[:, 0]


class TurnSearch:
    """Joint posterior of component and turn, with what it takes of a mixture computed once.

    Args:
        mixture: on whose orbits latents lie.
        like: in whose precision to search.
    """

    @torch.no_grad()
    def __init__(self, mixture: OrbitMixture, like: Tensor):
        self.mixture = mixture
        self.reflections = mixture.symmetry.reflections and not mixture.is_trivial
        angles = resolving_angles(mixture, _STEP)
        self.grid = mixture.grid(angles).to(like)
        self.kernel, self.coarse, self.fine = (
            Kernel(mixture, like.dtype, count)
            for count in (angles, min(_COARSE, mixture.angles), min(_FINE, mixture.angles))
        )

    @torch.no_grad()
    def __call__(self, v: Tensor, component: Tensor | None = None) -> Reading:
        """What the mixture says of v (B, D), or of v of known components (B, T)."""
        if component is None:
            likeliest = min(_LIKELIEST, self.mixture.components)
            component = self.coarse.cluster_log_prob(v).topk(likeliest, 1).indices
        elements, by_turn = self._turns(v, component)
        reading = Reading(elements, by_turn, by_turn)
        # a grid through the likeliest turn tells kinds the same way whatever that turn is
        still = self.mixture.representation.act(self.mixture.symmetry.inverse(reading.mode), v)
        return replace(reading, cluster=self.fine.cluster_log_prob(still))

    def _turns(self, v: Tensor, component: Tensor) -> tuple[Tensor, Tensor]:
        """The elements that turns are told by (B, A, 4), and log p(h | v), (B, A)."""
        offset, count = torch.zeros_like(v[:, 0]), len(self.grid)
        continuous = not (self.mixture.symmetry.is_finite or self.mixture.is_trivial)
        for _ in range(_STEPS if continuous else 0):
            offset = offset + self._peak(self._posterior(v, offset, component))
        by_turn = self._posterior(v, offset, component)
        first = motion(offset, dtype=v.dtype).repeat_interleave(count, dim=0)
        grid = self.grid.repeat(v.shape[0], 1)
        return compose(first, grid).unflatten(0, (-1, count)), by_turn

    def _posterior(self, v: Tensor, offset: Tensor, component: Tensor) -> Tensor:
        """log p(h | v) on the grid turned by `offset` (B,), (B, A), by the components (B, T)."""
        back = self.mixture.representation.act(motion(-offset, dtype=v.dtype), v)
        r, _ = shares(self.kernel.joint_of(back, component))
        return r.sum(2).T.log()

    def _peak(self, log_p: Tensor) -> Tensor:
        """From the best point of the grid to the top of the parabola about it, radians, (B,)."""
        count = len(self.grid) // (1 + self.reflections)
        best = log_p.argmax(1, keepdim=True)
        chirality, at = best // count, best % count
        around = [log_p.gather(1, chirality * count + (at + i) % count)[:, 0] for i in (-1, 0, 1)]
        return parabola(*around) * (2 * math.pi / count)
