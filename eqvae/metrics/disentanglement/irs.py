"""Interventional robustness: how far does a code move when all factors but one are changed?

    d_df   = mean over values v of factor f of  q-quantile_{i: f_i = v} |z_id - E[z_d | f = v]|
    IRS    = sum_d w_d max_f (1 - d_df / w_d) / sum_d w_d,        w_d = max_i |z_id - E[z_d]|

With q = 1, the paper's, this is the worst deviation; q = 0.99, the literature's code, forgives outliers. Per
block, |.| is the norm of the whitened block, so no basis inside it matters, and each block weighs w_b.

Noise scores far above 0, because a maximum inside a small cell is smaller than over all rows: compare with
the floor, where the factors are shuffled. Scores per axis weigh by the scale of each dimension: standardise
codes before comparing models.

Reference: Suter, Miladinovic, Scholkopf, Bauer, Robustly disentangled causal mechanisms (ICML 2019), sec. 4.
"""

from typing import Unpack

import numpy as np

from eqvae.metrics.disentanglement.histograms import quantile_classes
from eqvae.metrics.disentanglement.whitening import moving_columns, whiten
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

MIN_ROWS = 5


def interventional_robustness(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    quantile: float = 0.99,
    bins: int = 10,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Interventional robustness score (IRS).

    Args:
        codes: (N, D).
        factors: integers are classes, floats are cut at quantiles into `bins`, vectors column by column.
        blocks: columns by block; None is the per-axis score of the literature.
        quantile: 0.99, or 1 as in the paper.
        bins: of continuous factors.
        **draws: see `Draws`; no resamples and so no interval unless you ask for some.

    Returns:
        "irs" and "irs/active", the number of dimensions or blocks that are not constant. Higher is better,
        a perfect code has 1.

    Raises:
        ValueError: for mismatched lengths, NaN, or a quantile outside (0, 1].
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1; got {quantile}.")
    resampling = Resampling.of(draws, resamples=0)
    codes = as_codes(codes)
    known = {"n": len(codes), "page": "irs", "legacy": blocks is None}
    values = as_factors(factors, len(codes))
    classes = list(quantile_classes(values, bins).values())
    live = moving_columns(codes)
    index = as_blocks(blocks, codes.shape[1])
    parts = [codes[:, columns] for columns in index.values() if live[columns].any()]
    active = Score(len(parts), better="neither", **known)
    if reason := _missing(parts, dict(zip(factors, classes, strict=True))):
        return {"irs": Score.null(reason, **known), "irs/active": active}
    if blocks is not None:
        parts = [whiten(part) for part in parts]
    order = resampling.generator().permutation(len(codes))
    score = Score.of_statistic(
        lambda rows: _irs([part[rows] for part in parts], [c[rows] for c in classes], quantile),
        known.pop("n"),
        resampling,
        floor=_irs(parts, [c[order] for c in classes], quantile),
        ceiling=None if any(v.dtype.kind == "f" for v in values.values()) else 1.0,  # wide bins
        **known,
    )
    return {"irs": score, "irs/active": active}


def _missing(parts: list[np.ndarray], classes: dict[str, np.ndarray]) -> str:
    """Why the score can't be measured; empty if it can."""
    if not parts:
        return "every code dimension is constant"
    for name, values in classes.items():
        if len(values) < MIN_ROWS * (values.max() + 1):
            return f"factor {name!r} has fewer than {MIN_ROWS} rows a value, so nothing can deviate"
    return ""


def _irs(parts: list[np.ndarray], classes: list[np.ndarray], quantile: float) -> float:
    robust, weight = [], []
    for part in parts:
        largest = np.linalg.norm(part - part.mean(axis=0), axis=1).max()
        moved = [_deviation(part, c, quantile) for c in classes]
        robust.append(1 - min(moved) / largest)
        weight.append(largest)
    return float(np.average(robust, weights=weight))


def _deviation(part: np.ndarray, classes: np.ndarray, quantile: float) -> float:
    """Quantile of the distance to the mean of one factor value, averaged over the values."""
    counts = np.bincount(classes)
    sums = np.stack([np.bincount(classes, column) for column in part.T], axis=1)
    mean = sums / np.maximum(counts, 1)[:, None]
    away = np.linalg.norm(part - mean[classes], axis=1)
    away = away[np.lexsort((away, classes))]  # runs of equal value, each in rising order
    first, counts = (np.cumsum(counts) - counts)[counts > 0], counts[counts > 0]
    place = quantile * (counts - 1)
    below = first + place.astype(int)
    above = np.minimum(below + 1, first + counts - 1)
    return float(np.mean(away[below] + (place % 1) * (away[above] - away[below])))
