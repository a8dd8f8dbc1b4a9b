"""The best poses that differ, and candidates for them: maxima of a function on a grid of rotations."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.symmetry.space_motions import pose_distance
from eqvae.three.search.newton import Refined


@dataclass(frozen=True)
class Poses:
    """The k best distinct poses of each pair, best first.

    An object with symmetry has several that are equally right: a pose is a set, see `num_equal`.

    Attributes:
        elements: of O(3), which bring what was rotated onto what stayed, (..., k, 5) float64; with shifts of
            E(3), (..., k, 8).
        scores: correlation there over the product of norms, at most 1, (..., k); -inf where there are
            fewer than k, with the identity as element.
        stiffness: how fast the score falls about three axes, rising, per radian^2, (..., k, 3).
    """

    elements: Tensor
    scores: Tensor
    stiffness: Tensor

    @property
    def best(self) -> Tensor:
        """The first of each, (..., 5) or (..., 8)."""
        return self.elements[..., 0, :]

    @property
    def found(self) -> Tensor:
        """How many there are, (...,)."""
        return self.scores.isfinite().sum(-1)

    def num_equal(self, tolerance: float = 1e-6) -> Tensor:
        """How many are as good as the best, (...,): the order of the symmetry if k is large enough.

        Args:
            tolerance: of the score.
        """
        return (self.scores >= self.scores[..., :1] - tolerance).sum(-1)

    def determined(self, tolerance: float = 1e-6) -> Tensor:
        """Whether a pose is a point and not a curve, (..., k): of atoms on a line it is a curve.

        Args:
            tolerance: of the least stiffness, relative to the largest.
        """
        return self.stiffness[..., 0] > tolerance * self.stiffness[..., 2].abs()


def grid_maxima(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best local maxima of values on a grid of Euler angles.

    Args:
        values: (P, alpha, beta, gamma).
        count: of each; places of the grid that are no maxima fill up what is missing.

    Returns:
        Their values and flat indices, (P, count), best first.
    """
    # alpha and gamma are circles; beyond a pole, beta -> -beta, both go on half a turn away
    half_a, half_c = values.shape[1] // 2, values.shape[3] // 2
    beyond = values.roll((half_a, half_c), dims=(1, 3))
    wide = torch.cat([beyond[:, :, :1], values, beyond[:, :, -1:]], dim=2)
    highest = _of_three(wide, 2)
    for axis in (1, 3):
        ends = (highest.narrow(axis, -1, 1), highest, highest.narrow(axis, 0, 1))
        highest = _of_three(torch.cat(ends, dim=axis), axis)
    count = min(count, values[0].numel())
    peaks = torch.where(values >= highest, values, values - 1e3 * values.abs().amax() - 1)
    index = peaks.flatten(1).topk(count, dim=1).indices
    return values.flatten(1).gather(1, index), index


def _of_three(x: Tensor, axis: int) -> Tensor:
    """The largest of each and its two neighbours along an axis, which loses its ends."""
    n = x.shape[axis] - 2
    pair = torch.maximum(x.narrow(axis, 0, n), x.narrow(axis, 2, n))
    return torch.maximum(pair, x.narrow(axis, 1, n))


def distinct(refined: Refined, scale: Tensor, count: int, separation: float) -> Poses:
    """The best, the best of those far enough from it, and so on.

    Args:
        refined: candidates of P pairs.
        scale: what a value is divided by, (P,).
        count: k.
        separation: least angle between two, degrees.
    """
    scores = refined.values / scale[:, None]
    left, rows = scores.clone(), torch.arange(len(scores), device=scores.device)
    chosen, kept = [], []
    for _ in range(min(count, scores.shape[1])):
        best = left.argmax(dim=1)
        chosen.append(best)
        kept.append(left[rows, best])
        far = pose_distance(refined.elements, refined.elements[rows, best][:, None]).degrees
        left = left.masked_fill(far < separation, -torch.inf)
    index, kept = torch.stack(chosen, dim=1), torch.stack(kept, dim=1)
    there = kept.isfinite()[..., None]

    def picked(x: Tensor) -> Tensor:
        return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

    none = torch.zeros_like(refined.elements[:1, :1])
    none[..., 1] = 1
    elements = torch.where(there, picked(refined.elements), none)
    stiffness = torch.where(there, picked(refined.stiffness) / scale[:, None, None], 0.0)
    missing = count - index.shape[1]
    if missing > 0:
        elements = torch.cat([elements, none.expand(len(elements), missing, -1)], dim=1)
        stiffness = F.pad(stiffness, (0, 0, 0, missing))
        kept = F.pad(kept, (0, missing), value=-torch.inf)
    return Poses(elements, kept, stiffness)
