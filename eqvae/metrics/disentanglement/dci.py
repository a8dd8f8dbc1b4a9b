"""DCI per column: trees predict each factor, importances by impurity, accuracy.

This is the public protocol. `importance.py` says how D, C and I come from the importances.

Reference: Eastwood, Williams, A framework for the quantitative evaluation of disentangled
representations (2018), https://openreview.net/forum?id=By-7dz-AZ.
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from eqvae.metrics.disentanglement.held_out import HeldOutRows, Split
from eqvae.metrics.disentanglement.histograms import class_factors
from eqvae.metrics.disentanglement.importance import (
    NAMES,
    PAGE,
    disentanglement_completeness,
    undefined,
)
from eqvae.metrics.inputs import Codes, Factors, as_codes
from eqvae.metrics.intervals import Interval, Resampling
from eqvae.metrics.score import Score


def tree_importance(
    train: np.ndarray,
    classes: np.ndarray,
    test: np.ndarray,
    held_out: np.ndarray,
    trees: ClassifierMixin,
) -> tuple[np.ndarray, np.ndarray]:
    """Impurity importances (D, F) of one classifier per factor, and which held-out rows are right (M, F)."""
    importance, right = [], []
    for f in range(classes.shape[1]):
        fitted = clone(trees).fit(train, classes[:, f])
        importance.append(fitted.feature_importances_)
        right.append(fitted.predict(test) == held_out[:, f])
    return np.stack(importance, axis=1), np.stack(right, axis=1)


def dci(
    codes: Codes,
    factors: Factors,
    *,
    trees: ClassifierMixin | None = None,
    refits: int = 0,
    **split: Unpack[Split],
) -> dict[str, Score]:
    """DCI per column by the public protocol: D, C and the mean held-out accuracy.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes.
        trees: classifier with `feature_importances_`; None means GradientBoostingClassifier with
            scikit-learn's defaults, as published; minutes to an hour. RandomForestClassifier takes seconds.
        refits: on resampled rows, for the intervals of D and C; 0 gives none.
        **split: see `Split`; 10,000 rows to fit on, 5,000 to score on. The seed also grows the trees.

    Returns:
        disentanglement, completeness, informativeness; 1 is best.
    """
    codes, known = as_codes(codes), dict(page=PAGE, legacy=True)
    rows = HeldOutRows.of(len(codes), split, 10_000, 5_000)
    fit, held, resampling = rows.fit, rows.held, rows.resampling
    labels = np.stack(list(class_factors(factors, len(codes)).values()), axis=1)
    for what, columns in (("codes", codes), ("factors", labels)):
        if (columns == columns[:1]).all():
            return Score.nulls(NAMES, f"all {what} are constant", **known)
    labels = labels[:, (labels != labels[:1]).any(axis=0)]  # a constant is predicted by anything
    if rows.smallest < 10:
        reason = f"{len(codes)} samples are too few to fit and test on"
        return Score.nulls(NAMES, reason, **known)
    trees = GradientBoostingClassifier() if trees is None else trees
    trees = clone(trees).set_params(random_state=resampling.seed)
    importance, right = tree_importance(codes[fit], labels[fit], codes[held], labels[held], trees)
    floors = _chance(codes, labels, fit, held, resampling)
    values = disentanglement_completeness(importance)
    intervals = _refit_intervals(values, codes, labels, fit, trees, refits, resampling)
    known["ceiling"] = 1.0
    found = {
        name: Score(values[i], len(fit), floor=floors[i], interval=intervals[i], **known)
        for i, name in enumerate(NAMES[:2])
    }
    accuracy = right.mean(axis=1)
    found[NAMES[2]] = Score.of_statistic(
        lambda drawn: accuracy[drawn].mean(),
        len(held),
        rows.scored,
        floor=floors[2],
        **known,
    )
    return found | undefined(codes.shape[1], labels.shape[1], legacy=True)


def _chance(codes, labels, fit, held, resampling: Resampling) -> tuple[float, float, float]:
    """D, C and I with shuffled factors.

    Noise grows deep boosted trees, so a small forest shows the chance level: seconds instead of an hour.
    """
    rows = fit[:1000]
    forest = RandomForestClassifier(20, random_state=resampling.seed)
    order = resampling.generator().permutation(rows)
    null, wrong = tree_importance(codes[rows], labels[order], codes[held], labels[held], forest)
    return *disentanglement_completeness(null), wrong.mean()


def _refit_intervals(
    values: tuple[float, float], codes, labels, fit, trees, refits: int, resampling: Resampling
) -> list[Interval | None]:
    """Intervals of D and C from a few refits, both from the same ones."""

    def refitted(rows: np.ndarray) -> tuple[float, float]:
        drawn, one = fit[rows], fit[:1]
        importance, _ = tree_importance(codes[drawn], labels[drawn], codes[one], labels[one], trees)
        return disentanglement_completeness(importance)

    if refits < 2:
        return [None, None]
    resampling = replace(resampling.of_rows(fit), resamples=refits)
    return resampling.intervals(refitted, len(fit), values)
