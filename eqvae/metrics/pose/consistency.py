"""Pose consistency: whether the pose moves with the image, without any ground truth.

    pose(m x) against m pose(x)      for motions m of the image x

It needs no true pose and no gauge, since g h moves to m g h whatever h is.
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.pose.orders import Orders, as_labels, row_orders
from eqvae.metrics.pose.poses import as_poses, product, relative_motion, wrap
from eqvae.metrics.pose.scores import ROUND, angle_scores, reflection_score, shift_scores
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import angle_of, reflection_of, shift_of

PAGE = "pose-consistency"
_SHUFFLES = 4
_NAMES = ("angle_median", "angle_mean", "angle_p95", "shift_median", "shift_rmse", "shift_p95")


def pose_consistency(
    pose: ArrayLike,
    moved_pose: ArrayLike,
    motions: ArrayLike,
    *,
    orders: Orders = 1,
    classes: ArrayLike | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Whether the pose moves with the image: pose(m x) against m pose(x), no ground truth needed.

    Args:
        pose: pose of each image, (N, 4) rows [reflection, angle, x, y], radians and pixels.
        moved_pose: pose of each moved image, (M, N, 4).
        motions: m, (M, 4).
        orders: k of the stabiliser C_k, see `Orders`; 0 leaves the angle out. An element of the stabiliser
            is free in the angle only: without a gauge, nobody knows where the object's own centre is.
        classes: class of each image, (N,); needed if orders differ.
        **draws: see `Draws`; 200 resamples.

    Returns:
        angle_median, angle_mean, angle_p95: degrees, floors 90 / k, 90 / k, 171 / k.
        shift_median, shift_rmse, shift_p95: pixels, floors from the moved poses of other images.
        handedness: share of poses with the expected reflection; null if there are none.
        0 is perfect for errors, n the number of pairs.

    Raises:
        ValueError: if shapes differ, a number is not finite, or an order is unknown.
    """
    resampling = Resampling.of(draws, resamples=200)
    pose, motions = as_poses(pose, "pose"), as_poses(motions, "motions")
    m, n = len(motions), len(pose)
    moved = _as_moved(moved_pose, m, n)
    check_lengths(pose=n, groups=resampling.groups)
    order = row_orders(orders, as_labels(classes, n))
    resampling = replace(resampling, groups=resampling.sources(n))
    expected = product(np.repeat(motions, n, axis=0), np.tile(pose, (m, 1)))

    def shift_error(actual: np.ndarray) -> np.ndarray:
        return np.linalg.norm(shift_of(expected) - shift_of(actual), axis=1).reshape(m, n).T

    generator = resampling.generator()
    shuffled = [
        shift_error(moved.reshape(m, n, -1)[:, generator.permutation(n)].reshape(m * n, -1))
        for _ in range(_SHUFFLES if n > 1 else 0)
    ]
    turned = order > 0
    period = 2 * np.pi / np.maximum(order, 1)
    relative = angle_of(relative_motion(expected, moved)).reshape(m, n).T
    angle = np.degrees(np.abs(wrap(relative, period[:, None])))  # (N, M)
    scores = angle_scores(angle[turned], order[turned], resampling.of_rows(turned), PAGE)
    scores |= shift_scores(shift_error(moved), shuffled, resampling, PAGE)
    null = Score.null(ROUND, unit="degrees", page=PAGE)
    result = {name: scores.get(name, null) for name in _NAMES}
    mirrors = reflection_of(expected), reflection_of(moved)
    if any(mirror.any() for mirror in mirrors):
        right = np.equal(*mirrors).reshape(m, n).T
        return result | {"handedness": reflection_score(right, resampling, PAGE)}
    return result | {"handedness": Score.null("no pose has a reflection", page=PAGE)}


def _as_moved(values: ArrayLike, m: int, n: int) -> np.ndarray:
    """Poses of n images moved by m motions, as (m n, 4)."""
    moved = as_array(values, "moved_pose", 3)
    if moved.shape[:2] != (m, n):
        raise ValueError(
            f"moved_pose must hold one pose for each motion and image, shape ({m}, {n}, 4), or 5 with "
            f"log-scales; got {moved.shape}."
        )
    return as_poses(moved.reshape(m * n, -1), "moved_pose")
