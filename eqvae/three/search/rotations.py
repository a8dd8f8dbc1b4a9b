"""Search over all rotations: FFT on the group, Newton's method, the k best poses that differ.

    c(R) = sum_nl w_nl <a_nl, D_l(R) b_nl>

Its maximum says how b has to be turned to lie on a. Structures are lifted once; no pose is ever encoded.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.three.search.correlation import (
    RotationGrid,
    block_norms,
    inverted,
    lmax_of,
    lowered,
    on_grid,
    pairs,
)
from eqvae.three.search.newton import Refined, refine
from eqvae.three.search.poses import Poses, distinct, grid_maxima
from eqvae.three.search.posterior import RotationPosterior

_CHUNK = 4_000_000  # values on grids at a time
_CANDIDATES = 4  # for each pose that is asked for, and as many more


@dataclass(frozen=True)
class RotationSearch:
    """Which rotations bring b onto a, for one pair of coefficients or many.

    Leading axes of a and b are broadcast, so that (S, 1, C, n, K) and (1, T, C, n, K) compare S structures
    with T templates.

    Args:
        num_poses: k, how many distinct poses are returned.
        mirrors: whether mirror images count too, O(3) instead of SO(3).
        oversampling: angles of the grid for each that the band asks for; 1 is coarse.
        coarse: highest degree on the grid; None for all, a lower one is faster. Refinement has all degrees.
        separation: least angle between two poses, degrees.
        steps: of Newton's method.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> from eqvae.symmetry import SpaceRotations
        >>> from eqvae.three.lift import Lift
        >>> lift, points = Lift.covering(3.0), torch.randn(1, 20, 3).double()
        >>> turn = SpaceRotations().exp(torch.tensor([[0.3, -1.0, 2.0]]).double())
        >>> found = RotationSearch()(lift(SpaceRotations().act(turn, points)), lift(points))
        >>> bool((found.best - turn).abs().max() < 1e-9)
        True
    """

    num_poses: int = 1
    mirrors: bool = False
    oversampling: float = 2.0
    coarse: int | None = None
    separation: float = 10.0
    steps: int = 12

    def __post_init__(self) -> None:
        for name, least in (("num_poses", 1), ("steps", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number, >= {least}; got {value!r}.")
        if self.coarse is not None and (not isinstance(self.coarse, int) or self.coarse < 1):
            raise ValueError(
                f"coarse must be a degree, >= 1, or None for all; got {self.coarse!r}."
            )
        if not self.oversampling >= 1:
            raise ValueError(f"oversampling must be at least 1; got {self.oversampling!r}.")
        if not 0 < self.separation < 180:
            raise ValueError(
                f"separation must be between 0 and 180 degrees; got {self.separation!r}."
            )

    def __call__(self, a: Tensor, b: Tensor, weights: Tensor | None = None) -> Poses:
        """The best poses of b on a.

        Args:
            a: coefficients that stay, (..., C, n, (lmax + 1)^2).
            b: coefficients that are rotated, broadcast against a.
            weights: of shells and degrees, (n, lmax + 1), such as `whitening`; None for 1.

        Returns:
            Poses with the broadcast leading axes.

        Raises:
            ValueError: if shapes do not fit, or coefficients are 0 or not finite.
        """
        scale = _scale(a, b, weights)
        pair = pairs(a, b, weights)
        lead, pair, scale = pair.shape[:-1], pair.reshape(-1, pair.shape[-1]), scale.reshape(-1)
        grid = self.grid_of(pair)
        per = max(1, _CHUNK // (len(grid) * (1 + self.mirrors)))
        parts = [
            self._best(p, s, grid)
            for p, s in zip(pair.split(per), scale.double().split(per), strict=True)
        ]
        names = ("elements", "scores", "stiffness")
        whole = (torch.cat([getattr(part, name) for part in parts]) for name in names)
        return Poses(*(part.reshape(*lead, *part.shape[1:]) for part in whole))

    def grid_of(self, pair: Tensor) -> RotationGrid:
        """The grid that the search begins on."""
        return RotationGrid.of(self._grid_degree(pair), self.oversampling)

    def posterior(
        self, a: Tensor, b: Tensor, temperature: float, weights: Tensor | None = None
    ) -> RotationPosterior:
        """p(R | a, b) on the grid; see `RotationPosterior`, which warns where the grid is too coarse for it.

        Raises:
            ValueError: as above, or if temperature is not positive.
        """
        scale, pair = _scale(a, b, weights), pairs(a, b, weights)
        grid = RotationGrid.of(lmax_of(pair), self.oversampling)
        signed = torch.stack([pair, inverted(pair)] if self.mirrors else [pair], dim=-2)
        scores = on_grid(signed, grid) / scale[..., None, None, None, None]
        found = RotationPosterior.of(scores, grid, temperature)
        if bool(found.coarse.any()):
            warnings.warn(
                f"the posterior at temperature {temperature:g} is narrower than the grid's step of "
                f"{360 / grid.size:.1f} degrees; raise the temperature or oversampling.",
                stacklevel=2,
            )
        return found

    def _grid_degree(self, pair: Tensor) -> int:
        lmax = lmax_of(pair)
        return lmax if self.coarse is None else min(lmax, self.coarse)

    def _best(self, pair: Tensor, scale: Tensor, grid: RotationGrid) -> Poses:
        low = lowered(pair, self._grid_degree(pair))
        count = _CANDIDATES * (self.num_poses + 1)
        found = [self._candidates(each, grid, count) for each in self._signs(low)]
        values = torch.cat([value for value, _ in found], dim=1)
        elements = torch.cat([each for _, each in found], dim=1)
        for i in range(len(found)):
            elements[:, i * found[0][1].shape[1] :, 0] = i
        kept = values.topk(min(count, values.shape[1]), dim=1).indices
        elements = elements.gather(1, kept[..., None].expand(-1, -1, elements.shape[2]))
        pair, elements = pair.double(), elements.to(pair.device)
        if low.shape[1] < pair.shape[1]:
            elements = refine(low.double(), elements, 3).elements
        refined: Refined = refine(pair, elements, self.steps)
        return distinct(refined, scale, self.num_poses, self.separation)

    def _signs(self, pair: Tensor) -> list[Tensor]:
        return [pair, inverted(pair)] if self.mirrors else [pair]

    def _candidates(self, pair: Tensor, grid: RotationGrid, count: int) -> tuple[Tensor, Tensor]:
        values, index = grid_maxima(on_grid(pair, grid), count)
        return values, grid.elements(index)


def _scale(a: Tensor, b: Tensor, weights: Tensor | None) -> Tensor:
    """|a| |b|, what scores are relative to, (...,)."""
    for name, each in (("a", a), ("b", b)):
        if not bool(each.isfinite().all()):
            raise ValueError(
                f"coefficients {name} must be finite; got NaN or infinity. Look at the positions they come from."
            )
    scale = block_norms(a, weights) * block_norms(b, weights)
    if not bool((scale > 0).all()):
        raise ValueError(
            "coefficients must not all be 0; got a set whose points lie beyond every shell. Choose shells with "
            "Lift.covering(reach(positions))."
        )
    return scale
