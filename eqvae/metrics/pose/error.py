"""Pose error in degrees and pixels up to the right gauge.

    g_hat_i against g_i s_i h:      the gauge h of each class is fitted on some rows and scored on others

Angles are compared modulo the object's symmetry, 2 pi / k, so that guessing costs 90 / k degrees.

The rows that fit the gauge are never scored: on n fitted rows, a predictor that knows nothing reads 75
(n = 20), 84 (100), 88 (1,000) instead of 90 degrees. A mirrored convention (theta_hat = phi - theta, or a y
axis that points down) is never fitted: its errors are those of a guess, and `mirrored` or `shift_mirrored` is
1 and says why.
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.pose.convention import angle_convention, rows_of_each, shift_convention
from eqvae.metrics.pose.gauge import fit_gauge, gauge_residuals
from eqvae.metrics.pose.orders import Orders, as_labels, row_orders
from eqvae.metrics.pose.poses import PosePairs, as_poses
from eqvae.metrics.pose.scores import ROUND, angle_scores, reflection_score, shift_scores
from eqvae.metrics.pose.split import gauge_split, shuffle_within
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import reflection_of

PAGE = "pose-error"
_SHUFFLES = 4
_NAMES = (
    *("angle_median", "angle_mean", "angle_p95", "accuracy_5", "accuracy_15"),
    *("angle_mean_shuffled", "resultant", "resultant_mirrored", "mirrored", "handedness"),
    *("shift_rmse", "shift_median", "shift_mirrored"),
)


def pose_errors(
    pose: ArrayLike,
    true_pose: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    orders: Orders = 1,
    dihedral: bool = False,
    fit: ArrayLike | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How far the model's poses are from the true ones, after fitting one gauge for each class.

    Args:
        pose, true_pose, classes, dihedral: as for `fit_gauge`.
        orders: k of the stabiliser C_k, see `Orders`; the angle of objects with 0, discs, is not scored.
        fit: boolean mask (N,) of the rows that fit the gauge; the others are scored. None splits the rows
            (or sources) of each class into halves by seed; classes of one row are left out.
        **draws: see `Draws`; 200 resamples.

    Returns:
        angle_median, angle_mean, angle_p95: degrees, 0 is perfect, floors 90 / k, 90 / k, 171 / k.
        accuracy_5, accuracy_15: share of angles within 5 and 15 degrees; 1 is perfect.
        angle_mean_shuffled: angle_mean of poses given to other rows of the class. Far below the floor,
            the true poses hardly vary and every angle error here means little.
        resultant: |mean exp(i k (theta_hat - theta))|, row mean over classes; 1 is perfect.
        resultant_mirrored: the same with theta_hat + theta: 1 for a mirrored convention.
        mirrored, shift_mirrored: 1 if mirrored poses explain the data better, else 0; 0 is right.
        handedness: share of right reflections; null where no pose has one.
        shift_rmse, shift_median: pixels, 0 is perfect, floors by shuffling within classes.

    Raises:
        ValueError: if lengths differ, a number is not finite, an order is unknown, or `fit` leaves
            nothing to fit or score.
    """
    resampling = Resampling.of(draws, resamples=200)
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    n = check_lengths(pose=pose, true_pose=true_pose, groups=resampling.groups)
    labels = as_labels(classes, n)
    pairs = PosePairs(pose, true_pose, labels, row_orders(orders, labels))
    resampling = replace(resampling, groups=resampling.sources(n))
    fitted, scored = gauge_split(labels, resampling.groups, fit, resampling.seed)
    if not scored.any():
        reason = "no class has two rows, one to fit the gauge and one to score"
        return Score.nulls(_NAMES, reason, page=PAGE)

    def residuals(predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gauges = fit_gauge(predicted[fitted], true_pose[fitted], labels[fitted], orders, dihedral)
        return gauge_residuals(predicted[scored], true_pose[scored], gauges, labels[scored])

    angle, shift = residuals(pose)
    generator = resampling.generator()
    shuffled = [residuals(pose[shuffle_within(labels, generator)]) for _ in range(_SHUFFLES)]
    seen, of_seen = pairs.of_rows(scored), resampling.of_rows(scored)
    scores = _angles(angle, [a for a, _ in shuffled], seen, of_seen)
    scores["handedness"] = _handedness(pairs, scored, dihedral, resampling)
    scores["shift_mirrored"] = shift_convention(seen, of_seen)
    scores |= shift_scores(shift, [s for _, s in shuffled], of_seen, PAGE)
    null = Score.null(ROUND, unit="degrees", page=PAGE)
    return {name: scores.get(name, null) for name in _NAMES}


def pose_errors_by_class(
    pose: ArrayLike,
    true_pose: ArrayLike,
    *,
    classes: ArrayLike,
    orders: Orders = 1,
    fit: ArrayLike | None = None,
    **options,
) -> dict[int, dict[str, Score]]:
    """`pose_errors` of each class alone: {class: scores}, for the classes in their order.

    Arguments are those of `pose_errors`.
    """
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    groups = options.pop("groups", None)
    n = check_lengths(pose=pose, true_pose=true_pose, fit=fit, groups=groups)
    labels = as_labels(classes, n)
    row_orders(orders, labels)
    result = {}
    for c, rows in zip(np.unique(labels), rows_of_each(labels), strict=True):
        result[int(c)] = pose_errors(
            pose[rows],
            true_pose[rows],
            classes=labels[rows],
            orders=orders,
            fit=None if fit is None else np.asarray(fit)[rows],
            groups=None if groups is None else np.asarray(groups)[rows],
            **options,
        )
    return result


def _angles(
    angle: np.ndarray, shuffled: list[np.ndarray], pairs: PosePairs, resampling: Resampling
) -> dict[str, Score]:
    """Scores of the residual angles of the scored rows, and of the shuffled ones; discs are left out."""
    turned = np.flatnonzero(pairs.order > 0)
    if not len(turned):
        return {}
    pairs, resampling = pairs.of_rows(turned), resampling.of_rows(turned)
    scores = angle_scores(np.degrees(np.abs(angle[turned])), pairs.order, resampling, PAGE)
    scores |= angle_convention(pairs, resampling)
    guess = np.degrees(np.mean([np.nanmean(np.abs(a)) for a in shuffled]))
    known = {"better": "neither", "floor": np.mean(90 / pairs.order), "unit": "degrees"}
    scores["angle_mean_shuffled"] = Score(guess, len(turned), page=PAGE, **known)
    return scores


def _handedness(
    pairs: PosePairs, scored: np.ndarray, dihedral: bool, resampling: Resampling
) -> Score:
    mirrored, truly = reflection_of(pairs.pose), reflection_of(pairs.true_pose)
    if not (mirrored.any() or truly.any()):
        return Score.null("no pose has a reflection", page=PAGE)
    if dihedral:
        return Score.null("the objects look the same in a mirror", page=PAGE)
    differs = mirrored != truly
    right = np.empty(len(differs), dtype=bool)
    for rows in rows_of_each(pairs.labels):
        fitted = rows[~scored[rows]]
        canonical = differs[fitted].mean() > 0.5 if len(fitted) else False
        right[rows] = differs[rows] == canonical
    return reflection_score(right[scored], resampling.of_rows(scored), PAGE)
