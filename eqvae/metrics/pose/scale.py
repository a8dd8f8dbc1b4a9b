"""Errors of scales in per cent, up to the right gauge: one factor for each class of objects.

    100 (exp |s_hat - s - s_h| - 1),    s_h the median of s_hat - s over the rows that fit the gauge

of log-scales s. A model knows sizes only up to the template that it chose for each class, as it knows angles.
The floor is what log-scales read that are given to other rows of the class.
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.pose.gauge import fit_gauge, growth_residuals
from eqvae.metrics.pose.orders import as_labels
from eqvae.metrics.pose.poses import as_poses
from eqvae.metrics.pose.scores import scale_scores
from eqvae.metrics.pose.split import gauge_split, shuffle_within
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import has_scale

PAGE = "pose-error"
_SHUFFLES = 4
_NAMES = ("scale_median", "scale_mean", "scale_p95")


def scale_errors(
    pose: ArrayLike,
    true_pose: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    fit: ArrayLike | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How far the model's scales are from the true ones, after fitting one factor for each class.

    Args:
        pose: the model's, (N, 5).
        true_pose: (N, 5), rows [reflection, angle, x, y, log_scale].
        classes, fit: as for `pose_errors`.
        **draws: see `Draws`; 200 resamples.

    Returns:
        scale_median, scale_mean, scale_p95: per cent, 0 is perfect, floors by shuffling within classes. Null
        where the poses of one of both have no scale.

    Raises:
        ValueError: if lengths differ or a number is not finite.
    """
    resampling = Resampling.of(draws, resamples=200)
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    n = check_lengths(pose=pose, true_pose=true_pose, groups=resampling.groups)
    for poses, whose in ((pose, "the model's poses have"), (true_pose, "the true poses have")):
        if not has_scale(poses):
            return Score.nulls(_NAMES, f"{whose} no scale", page=PAGE)
    labels = as_labels(classes, n)
    resampling = replace(resampling, groups=resampling.sources(n))
    fitted, scored = gauge_split(labels, resampling.groups, fit, resampling.seed)
    if not scored.any():
        reason = "no class has two rows, one to fit the gauge and one to score"
        return Score.nulls(_NAMES, reason, page=PAGE)

    def errors(predicted: np.ndarray) -> np.ndarray:
        gauges = fit_gauge(predicted[fitted], true_pose[fitted], labels[fitted])
        left = growth_residuals(predicted[scored], true_pose[scored], gauges, labels[scored])
        return 100 * np.expm1(np.abs(left))

    generator = resampling.generator()
    shuffled = [errors(pose[shuffle_within(labels, generator)]) for _ in range(_SHUFFLES)]
    return scale_scores(errors(pose), shuffled, resampling.of_rows(scored), PAGE)
