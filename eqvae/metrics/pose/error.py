"""Pose error in degrees and pixels up to the right gauge.

    g_hat_i against g_i s_i h:      the gauge h of each class is fitted on some rows and scored on others

Angles are compared modulo the object's symmetry, 2 pi / k, so that guessing costs 90 / k degrees.
"""

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.pose.convention import angle_convention, rows_of_each, shift_convention
from eqvae.metrics.pose.gauge import (
    Orders,
    as_labels,
    as_poses,
    fit_gauge,
    gauge_residuals,
    row_orders,
)
from eqvae.metrics.pose.scores import ROUND, angle_scores, mean_score, shift_scores
from eqvae.metrics.score import Score

PAGE = "pose-error"
_SHUFFLES = 4


def pose_errors(
    pose: ArrayLike,
    true_pose: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    orders: Orders = 1,
    dihedral: bool = False,
    fit: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Score]:
    """How far the model's poses are from the true ones, after fitting one gauge for each class.

    The rows that fit the gauge are never scored: on n fitted rows, a predictor that knows nothing reads
    75 (n = 20), 84 (100), 88 (1,000) instead of 90 degrees. A mirrored convention (theta_hat = phi - theta,
    or a y axis that points down) is never fitted: its errors are those of a guess, and `mirrored` or
    `shift_mirrored` is 1 and says why.

    Args:
        pose: the model's poses, (N, 4) rows [reflection, angle, x, y], radians and pixels.
        true_pose: (N, 4).
        classes: class of each row, (N,) whole numbers >= 0; None means one class.
        orders: k of the stabiliser C_k, one for all or {class: k}; 0 for objects such as discs, whose
            angle is not scored.
        dihedral: the objects look the same in a mirror, and poses hold reflections (`fit_gauge`).
        fit: boolean mask (N,) of the rows that fit the gauge; the others are scored. None splits the rows
            (or groups) of each class into halves by seed; classes of one row are left out.
        groups: source of each row, (N,); kept on one side of the split and drawn together.
        resamples: of the bootstrap.
        seed: of the split, the shuffles and the bootstrap.

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
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    n = check_lengths(pose=pose, true_pose=true_pose, groups=groups)
    labels = as_labels(classes, n)
    order = row_orders(orders, labels)
    groups = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    fitted, scored = gauge_split(labels, groups, fit, seed)
    if not scored.any():
        reason = "no class has two rows, one to fit the gauge and one to score"
        return {name: Score.null(reason, page=PAGE) for name in _NAMES}

    def residuals(predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gauges = fit_gauge(predicted[fitted], true_pose[fitted], labels[fitted], orders, dihedral)
        return gauge_residuals(predicted[scored], true_pose[scored], gauges, labels[scored])

    angle, shift = residuals(pose)
    generator = np.random.default_rng(seed)
    shuffled = [residuals(pose[_shuffle_within(labels, generator)]) for _ in range(_SHUFFLES)]
    options = {"resamples": resamples, "seed": seed}
    round_free = order[scored] > 0
    rows = np.flatnonzero(scored)
    turned = rows[round_free]
    scores = angle_scores(
        np.degrees(np.abs(angle[round_free])), order[turned], groups[turned], options, PAGE
    )
    scores |= angle_convention(
        pose[turned], true_pose[turned], labels[turned], order[turned], groups[turned], options
    )
    if len(turned):
        guess = np.degrees(np.mean([np.nanmean(np.abs(a)) for a, _ in shuffled]))
        scores["angle_mean_shuffled"] = Score(
            guess,
            len(turned),
            "neither",
            unit="degrees",
            page=PAGE,
            floor=float(np.mean(90 / order[turned])),
        )
    scores["handedness"] = _handedness(pose, true_pose, labels, scored, groups, dihedral, options)
    scores["shift_mirrored"] = shift_convention(pose[rows], true_pose[rows], groups[rows])
    scores |= shift_scores(shift, [s for _, s in shuffled], groups[rows], PAGE, options)
    null = Score.null(ROUND, unit="degrees", page=PAGE)
    return {name: scores.get(name, null) for name in _NAMES}


_NAMES = (
    *(
        "angle_median",
        "angle_mean",
        "angle_p95",
        "accuracy_5",
        "accuracy_15",
        "angle_mean_shuffled",
    ),
    *("resultant", "resultant_mirrored", "mirrored", "handedness"),
    *("shift_rmse", "shift_median", "shift_mirrored"),
)


def pose_errors_by_class(
    pose: ArrayLike,
    true_pose: ArrayLike,
    *,
    classes: ArrayLike,
    orders: Orders = 1,
    dihedral: bool = False,
    fit: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[int, dict[str, Score]]:
    """`pose_errors` of each class alone: {class: scores}, for the classes in their order."""
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    n = check_lengths(pose=pose, true_pose=true_pose, fit=fit, groups=groups)
    labels = as_labels(classes, n)
    row_orders(orders, labels)
    result = {}
    for c in np.unique(labels):
        rows = labels == c
        result[int(c)] = pose_errors(
            pose[rows],
            true_pose[rows],
            classes=labels[rows],
            orders=orders,
            dihedral=dihedral,
            fit=None if fit is None else np.asarray(fit)[rows],
            groups=None if groups is None else np.asarray(groups)[rows],
            resamples=resamples,
            seed=seed,
        )
    return result


def gauge_split(
    labels: np.ndarray, groups: np.ndarray, fit: ArrayLike | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows that fit the gauge and of the rows that are scored, as `pose_errors` takes them.

    Args:
        labels: class of each row, (N,).
        groups: source of each row, (N,).
        fit: the first mask if it is given already; None splits the sources of each class into halves.
        seed: of the split.
    """
    if fit is not None:
        mask = as_array(fit, "fit", 1)
        check_lengths(poses=len(labels), fit=mask)
        if mask.dtype != bool:
            raise ValueError(
                f"fit must be a boolean mask, True for the rows that fit the gauge; got {mask.dtype}."
            )
        unfitted = np.setdiff1d(labels[~mask], labels[mask])
        if mask.all() or len(unfitted):
            what = (
                "no row to score"
                if mask.all()
                else f"no row of class(es) {unfitted.tolist()} to fit"
            )
            raise ValueError(
                f"fit must leave rows of every scored class on both sides; it leaves {what}. "
                "Give None to split each class into halves."
            )
        return mask, ~mask
    generator = np.random.default_rng(seed)
    fitted, scored = np.zeros((2, len(labels)), dtype=bool)
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        sources = np.unique(groups[rows])
        of_row = groups[rows]
        if len(sources) == 1:  # one source only: its rows must do
            sources = of_row = np.arange(len(rows))
        if len(rows) < 2:
            continue
        half = generator.permutation(sources)[: (len(sources) + 1) // 2]
        chosen = np.isin(of_row, half)
        fitted[rows[chosen]] = scored[rows[~chosen]] = True
    return fitted, scored


def _shuffle_within(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A permutation of the rows that keeps the classes."""
    where = np.argsort(labels, kind="stable")
    index = np.empty(len(labels), dtype=int)
    index[where] = np.lexsort((generator.random(len(labels)), labels))
    return index


def _handedness(
    pose: np.ndarray,
    true_pose: np.ndarray,
    labels: np.ndarray,
    scored: np.ndarray,
    groups: np.ndarray,
    dihedral: bool,
    options: dict,
) -> Score:
    if not (pose[:, 0].any() or true_pose[:, 0].any()):
        return Score.null("no pose has a reflection", page=PAGE)
    if dihedral:
        return Score.null("the objects look the same in a mirror", page=PAGE)
    differs = pose[:, 0] != true_pose[:, 0]
    right = np.empty(len(pose))
    for rows in rows_of_each(labels):
        fitted = rows[~scored[rows]]
        canonical = differs[fitted].mean() > 0.5 if len(fitted) else False
        right[rows] = differs[rows] == canonical
    return mean_score(right[scored], 0.5, 1.0, groups[scored], options, PAGE)
