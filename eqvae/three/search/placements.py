"""Where points may be put: motions of space with scores, the best of each neighbourhood."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space import rotation_matrix
from eqvae.symmetry.space_motions import SpaceMotions, translation_of, turn_of


@dataclass(frozen=True)
class Placements:
    """K placements, the best one first.

    Attributes:
        poses: elements of SE(3), (K, 8): where they bring the points that were given.
        scores: (K,), higher is better.
        coarse_scores: of the search that found them, in standard deviations, (K,).
        num_poses: poses that were compared in that search.
        seconds: that it took.
        refining_seconds: of everything after it.
    """

    poses: Tensor
    scores: Tensor
    coarse_scores: Tensor
    num_poses: int
    seconds: float
    refining_seconds: float

    def __len__(self) -> int:
        return len(self.poses)

    def moved(self, positions: Tensor) -> Tensor:
        """Points (N, 3) in every placement, (K, N, 3)."""
        return SpaceMotions().act(self.poses, positions.to(self.poses).expand(len(self), -1, -1))

    @property
    def seconds_per_million(self) -> float:
        """Of the search, for a million poses."""
        return 1e6 * self.seconds / max(1, self.num_poses)


def rows_of(poses: Tensor, points: Tensor) -> Tensor:
    """Rows whose distance is the root mean square between where two motions bring the points, (K, 12).

    With centred points p and their second moment C = L L^T, it is |c_1 - c_2|^2 + |(R_1 - R_2) L|^2.
    """
    centre = points.mean(0)
    arms = points - centre
    values, vectors = torch.linalg.eigh(arms.T @ arms / len(arms))
    root = vectors * values.clamp_min(0).sqrt()
    turns = rotation_matrix(turn_of(poses))
    places = translation_of(poses) + turns @ centre
    return torch.cat([places, (turns @ root).flatten(1)], dim=1)


def distinct(poses: Tensor, scores: Tensor, points: Tensor, *, apart: float, most: int) -> Tensor:
    """Numbers of the best poses that lie apart, best first.

    Args:
        poses: (K, 8).
        scores: (K,).
        points: that they move, (M, 3).
        apart: least root mean square between two, Angstrom.
        most: how many at most.
    """
    order = scores.argsort(descending=True)
    rows, kept = rows_of(poses[order], points), []
    free = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if len(kept) == most:
            break
        if free[i]:
            kept.append(i)
            free &= (rows - rows[i]).norm(dim=1) >= apart
    return order[torch.tensor(kept, dtype=torch.long)]
