"""Poses as arrays of motions, and what lies between two of them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array
from eqvae.symmetry.motions import compose, inverse, reflection_of


def as_poses(values: ArrayLike, name: str) -> np.ndarray:
    """Poses as float64 motions [reflection, angle, x, y], (N, 4), or with a log-scale after them, (N, 5).

    Raises:
        ValueError: if they have another shape, are not finite, or a reflection is neither 0 nor 1.
    """
    poses = as_array(values, name, 2).astype(np.float64)
    if poses.shape[1] not in (4, 5):
        raise ValueError(
            f"{name} must be motions (N, 4), rows [reflection, angle, x, y], or (N, 5) with log-scales; got "
            f"shape {poses.shape}."
        )
    mirror = reflection_of(poses)
    if not np.isin(mirror, (0, 1)).all():
        raise ValueError(
            f"{name} must have 0 or 1 in its first column, the reflection; got "
            f"{mirror[~np.isin(mirror, (0, 1))][0]:g}. Rows are [reflection, angle, x, y]."
        )
    return poses


def product(g: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The motions g other, (N, 4); a single row serves for all."""
    n = max(len(g), len(other))
    g, other = (np.broadcast_to(part, (n, part.shape[1])) for part in (g, other))
    return compose(torch.from_numpy(g.copy()), torch.from_numpy(other.copy())).numpy()


def relative_motion(g: np.ndarray, other: np.ndarray) -> np.ndarray:
    """g^-1 other for motions (N, 4)."""
    return product(inverse(torch.from_numpy(g.copy())).numpy(), other)


def wrap(angle: np.ndarray, period: float | np.ndarray = 2 * np.pi) -> np.ndarray:
    """Angles brought into [-period / 2, period / 2)."""
    return (angle + period / 2) % period - period / 2


@dataclass(frozen=True)
class PosePairs:
    """Poses and what they should be, row by row.

    Attributes:
        pose: the model's, (N, 4).
        true_pose: (N, 4).
        labels: class of each row, (N,).
        order: k of its stabiliser C_k, (N,).
    """

    pose: np.ndarray
    true_pose: np.ndarray
    labels: np.ndarray
    order: np.ndarray

    def of_rows(self, rows: np.ndarray) -> "PosePairs":
        """Some of the rows: indices or a mask."""
        parts = (self.pose, self.true_pose, self.labels, self.order)
        return PosePairs(*(part[rows] for part in parts))
