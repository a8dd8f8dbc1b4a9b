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

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.disentanglement.information import whiten
from eqvae.metrics.disentanglement.votes import factor_classes
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Score, bootstrap

MIN_ROWS = 5


def interventional_robustness(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    quantile: float = 0.99,
    bins: int = 10,
    groups: ArrayLike | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> dict[str, Score]:
    """Interventional robustness score (IRS).

    Args:
        codes: (N, D).
        factors: integers are classes, floats are cut at quantiles into `bins`, vectors column by column.
        blocks: columns by block; None is the per-axis score of the literature.
        quantile: 0.99, or 1 as in the paper.
        bins: of continuous factors.
        groups: source of each row for the interval, (N,).
        resamples: of the interval, which is left out at 0.
        seed: of the shuffled control and the interval.

    Returns:
        "irs" and "irs/active", the number of dimensions or blocks that are not constant. Higher is better,
        a perfect code has 1.

    Raises:
        ValueError: for mismatched lengths, NaN, or a quantile outside (0, 1].
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1; got {quantile}.")
    codes = as_codes(codes)
    known = {"n": len(codes), "page": "irs", "legacy": blocks is None}
    values = as_factors(factors, len(codes))
    classes = list(factor_classes(values, bins).values())
    index = as_blocks(blocks, codes.shape[1])
    live = codes.std(axis=0) > 1e-12 * np.abs(codes).max(axis=0)
    parts = [codes[:, columns] for columns in index.values() if live[columns].any()]
    active = Score(len(parts), better="neither", **known)
    if not parts:
        return {
            "irs": Score.null("every code dimension is constant", **known),
            "irs/active": active,
        }
    few = [
        name for name, c in zip(factors, classes, strict=True) if len(c) < MIN_ROWS * (c.max() + 1)
    ]
    if few:
        reason = f"factor {few[0]!r} has fewer than {MIN_ROWS} rows a value, so nothing can deviate"
        return {"irs": Score.null(reason, **known), "irs/active": active}
    if blocks is not None:
        parts = [whiten(part) for part in parts]

    def statistic(rows: np.ndarray) -> float:
        return _irs([part[rows] for part in parts], [c[rows] for c in classes], quantile)

    order = np.random.default_rng(seed).permutation(len(codes))
    value = Score(
        statistic(np.arange(len(codes))),
        floor=_irs(parts, [c[order] for c in classes], quantile),
        ceiling=None if any(v.dtype.kind == "f" for v in values.values()) else 1.0,  # wide bins
        interval=bootstrap(statistic, len(codes), groups=groups, resamples=resamples, seed=seed)
        if resamples
        else None,
        **known,
    )
    return {"irs": value, "irs/active": active}


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
    runs = np.split(away[np.argsort(classes, kind="stable")], np.cumsum(counts)[:-1])
    return float(np.mean([np.quantile(run, quantile) for run in runs if len(run)]))
