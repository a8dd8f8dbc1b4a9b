"""Pose consistency: whether the pose moves with the image, without any ground truth.

    pose(m x) against m pose(x)      for motions m of the image x

It needs no true pose and no gauge, since g h moves to m g h whatever h is.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.pose.gauge import Orders, as_labels, as_poses, relative_motion, row_orders, wrap
from eqvae.metrics.pose.scores import ROUND, angle_scores, mean_score, shift_scores
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import compose

PAGE = "pose-consistency"
_SHUFFLES = 4


def pose_consistency(
    pose: ArrayLike,
    moved_pose: ArrayLike,
    motions: ArrayLike,
    *,
    orders: Orders = 1,
    classes: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Score]:
    """Whether the pose moves with the image: pose(m x) against m pose(x), no ground truth needed.

    Args:
        pose: pose of each image, (N, 4) rows [reflection, angle, x, y], radians and pixels.
        moved_pose: pose of each moved image, (M, N, 4).
        motions: m, (M, 4).
        orders: k of the stabiliser C_k, one for all or {class: k}; 0 leaves the angle out. An element
            of the stabiliser is free in the angle only: without a gauge, nobody knows where the object's
            own centre is.
        classes: class of each image, (N,); needed if orders differ.
        groups: source of each image, (N,); None means each image is one.
        resamples: of the bootstrap over images.
        seed: of the bootstrap and the shuffles.

    Returns:
        angle_median, angle_mean, angle_p95: degrees, floors 90 / k, 90 / k, 171 / k.
        shift_median, shift_rmse, shift_p95: pixels, floors from the moved poses of other images.
        handedness: share of poses with the expected reflection; null if there are none.
        0 is perfect for errors, n the number of pairs.

    Raises:
        ValueError: if shapes differ, a number is not finite, or an order is unknown.
    """
    pose, motions = as_poses(pose, "pose"), as_poses(motions, "motions")
    moved = as_array(moved_pose, "moved_pose", 3)
    m, n = len(motions), len(pose)
    if moved.shape != (m, n, 4):
        raise ValueError(
            f"moved_pose must hold one pose for each motion and image, shape ({m}, {n}, 4); got "
            f"{moved.shape}."
        )
    moved = as_poses(moved.reshape(-1, 4), "moved_pose")
    check_lengths(pose=n, groups=groups)
    order = row_orders(orders, as_labels(classes, n))
    groups = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    expected = compose(
        torch.from_numpy(np.repeat(motions, n, axis=0)), torch.from_numpy(np.tile(pose, (m, 1)))
    ).numpy()

    def shift_error(actual: np.ndarray) -> np.ndarray:
        return np.linalg.norm(expected[:, 2:] - actual[:, 2:], axis=1).reshape(m, n).T

    generator = np.random.default_rng(seed)
    shuffled = [
        shift_error(moved.reshape(m, n, 4)[:, generator.permutation(n)].reshape(-1, 4))
        for _ in range(_SHUFFLES if n > 1 else 0)
    ]
    options = {"resamples": resamples, "seed": seed}
    turned = order > 0
    period = 2 * np.pi / np.maximum(order, 1)
    relative = relative_motion(expected, moved)[:, 1].reshape(m, n).T
    angle = np.degrees(np.abs(wrap(relative, period[:, None])))  # (N, M)
    scores = angle_scores(angle[turned], order[turned], groups[turned], options, PAGE)
    scores |= shift_scores(shift_error(moved), shuffled, groups, PAGE, options)
    names = ("angle_median", "angle_mean", "angle_p95", "shift_median", "shift_rmse", "shift_p95")
    null = Score.null(ROUND, unit="degrees", page=PAGE)
    result = {name: scores.get(name, null) for name in names}
    right = (expected[:, 0] == moved[:, 0]).reshape(m, n).T
    any_mirror = expected[:, 0].any() or moved[:, 0].any()
    result["handedness"] = (
        mean_score(right, 0.5, 1.0, groups, options, PAGE)
        if any_mirror
        else Score.null("no pose has a reflection", page=PAGE)
    )
    return result
