"""Scores of angle errors in degrees and of shift errors in pixels, with floors and intervals.

A guess is uniform on the circle, so its error modulo 2 pi / k is uniform on [0, 180 / k] degrees: mean and
median 90 / k, 95th percentile 171 / k, within d degrees with probability d k / 180. Over objects of several
orders these are the mean, the quantiles and the probabilities of the mixture.
"""

from collections.abc import Callable

import numpy as np

from eqvae.metrics.score import Interval, Score, bootstrap, mean_interval

ROUND = "every scored object looks the same after any turn (order 0), so its angle is undefined"


def angle_scores(
    error: np.ndarray, order: np.ndarray, groups: np.ndarray, options: dict, page: str
) -> dict[str, Score]:
    """Errors in degrees, (N,) or (N, M), of objects with orders (N,) >= 1."""
    if not len(error):
        return {}
    half = 180 / order  # a guess is uniform on [0, 180 / k]

    def guess_quantile(q: float) -> float:
        """x with mean over rows of min(x / half, 1) = q: 180 q / k if all orders are equal."""
        low, high = 0.0, float(half.max())
        for _ in range(60):
            x = (low + high) / 2
            low, high = (x, high) if np.minimum(x / half, 1).mean() < q else (low, x)
        return high

    known = {"n": error.size, "better": "lower", "ceiling": 0.0, "unit": "degrees", "page": page}
    scores = {
        "angle_mean": Score(
            error.mean(),
            floor=half.mean() / 2,
            interval=grouped_mean_interval(error, groups, options),
            **known,
        )
    }
    for name, q in (("angle_median", 0.5), ("angle_p95", 0.95)):
        value, interval = _quantile(error, q, groups, options)
        scores[name] = Score(value, floor=guess_quantile(q), interval=interval, **known)
    for degrees in (5, 15):
        floor = float(np.minimum(degrees / half, 1).mean())
        scores[f"accuracy_{degrees}"] = mean_score(
            error <= degrees, floor, 1.0, groups, options, page
        )
    return scores


def shift_scores(
    error: np.ndarray, shuffled: list[np.ndarray], groups: np.ndarray, page: str, options: dict
) -> dict[str, Score]:
    """Errors in pixels, (N,) or (N, M), with floors from shuffled ones."""

    def floor(statistic: Callable[[np.ndarray], float]) -> float | None:
        return float(np.mean([statistic(s) for s in shuffled])) if shuffled else None

    known = {"n": error.size, "better": "lower", "ceiling": 0.0, "unit": "px", "page": page}
    square = grouped_mean_interval(error**2, groups, options)
    scores = {
        "shift_rmse": Score(
            np.sqrt((error**2).mean()),
            floor=floor(lambda e: np.sqrt((e**2).mean())),
            interval=square and tuple(float(np.sqrt(max(x, 0.0))) for x in square),
            **known,
        )
    }
    for name, q in (("shift_median", 0.5), ("shift_p95", 0.95)):
        value, interval = _quantile(error, q, groups, options)
        scores[name] = Score(
            value, floor=floor(lambda e, q=q: np.quantile(e, q)), interval=interval, **known
        )
    return scores


def mean_score(
    values: np.ndarray,
    floor: float,
    ceiling: float,
    groups: np.ndarray,
    options: dict,
    page: str,
) -> Score:
    values = values.astype(float)
    interval = grouped_mean_interval(values, groups, options)
    return Score(
        values.mean(), values.size, floor=floor, ceiling=ceiling, interval=interval, page=page
    )


def grouped_mean_interval(values: np.ndarray, groups: np.ndarray, options: dict) -> Interval | None:
    rows = values if values.ndim == 1 else values.mean(axis=1)
    return mean_interval(rows, groups=groups, **options)


def _quantile(
    error: np.ndarray, q: float, groups: np.ndarray, options: dict
) -> tuple[float, Interval | None]:
    if len(np.unique(groups)) == len(groups):
        groups = None  # the same draws, faster
    # a quantile of 360,000 pairs takes 10 ms; the interval of that many needs no 200 resamples
    resamples = min(options["resamples"], max(25, 10_000_000 // error.size))
    interval = bootstrap(
        lambda rows: np.quantile(error[rows], q),
        len(error),
        groups=groups,
        resamples=resamples,
        seed=options["seed"],
    )
    return float(np.quantile(error, q)), interval
