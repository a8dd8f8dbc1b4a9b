"""Scores of angle errors in degrees and of shift errors in pixels, with floors and intervals.

A guess is uniform on the circle, so its error modulo 2 pi / k is uniform on [0, 180 / k] degrees: mean and
median 90 / k, 95th percentile 171 / k, within d degrees with probability d k / 180. Over objects of several
orders these are the mean, the quantiles and the probabilities of the mixture.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score

ROUND = "every scored object looks the same after any turn (order 0), so its angle is undefined"


def angle_scores(
    error: np.ndarray, order: np.ndarray, resampling: Resampling, page: str
) -> dict[str, Score]:
    """Errors in degrees, (N,) or (N, M), of objects with orders (N,) >= 1."""
    if not len(error):
        return {}
    half = 180 / order  # a guess is uniform on [0, 180 / k]
    known = {"better": "lower", "ceiling": 0.0, "unit": "degrees", "page": page}
    scores = {"angle_mean": Score.of_mean(error, resampling, floor=half.mean() / 2, **known)}
    for name, q in (("angle_median", 0.5), ("angle_p95", 0.95)):
        scores[name] = _quantile(error, q, resampling, floor=_guess_quantile(half, q), **known)
    for degrees in (5, 15):
        floor = np.minimum(degrees / half, 1).mean()
        scores[f"accuracy_{degrees}"] = Score.of_mean(
            error <= degrees, resampling, floor=floor, ceiling=1.0, page=page
        )
    return scores


def shift_scores(
    error: np.ndarray, shuffled: list[np.ndarray], resampling: Resampling, page: str
) -> dict[str, Score]:
    """Errors in pixels, (N,) or (N, M), with floors from shuffled ones."""

    def floor(statistic: Callable[[np.ndarray], float]) -> float | None:
        return np.mean([statistic(s) for s in shuffled]) if shuffled else None

    known = {"n": error.size, "better": "lower", "ceiling": 0.0, "unit": "px", "page": page}
    squares = (error**2).reshape(len(error), -1).mean(axis=1)
    chance = floor(lambda e: np.sqrt((e**2).mean()))
    scores = {"shift_rmse": Score.of_root(squares, resampling, floor=chance, **known)}
    known.pop("n")
    for name, q in (("shift_median", 0.5), ("shift_p95", 0.95)):
        chance = floor(lambda e, q=q: np.quantile(e, q))
        scores[name] = _quantile(error, q, resampling, floor=chance, **known)
    return scores


def scale_scores(
    error: np.ndarray, shuffled: list[np.ndarray], resampling: Resampling, page: str
) -> dict[str, Score]:
    """Errors of scales in per cent, (N,), with floors from shuffled ones."""
    known = {"better": "lower", "ceiling": 0.0, "unit": "%", "page": page}
    chance = np.mean([s.mean() for s in shuffled])
    scores = {"scale_mean": Score.of_mean(error, resampling, floor=chance, **known)}
    for name, q in (("scale_median", 0.5), ("scale_p95", 0.95)):
        chance = np.mean([np.quantile(s, q) for s in shuffled])
        scores[name] = _quantile(error, q, resampling, floor=chance, **known)
    return scores


def reflection_score(right: np.ndarray, resampling: Resampling, page: str) -> Score:
    """Share of right reflections, from (N,) or (N, M) of bool; half of them are right by chance."""
    return Score.of_mean(right, resampling, floor=0.5, ceiling=1.0, page=page)


def _guess_quantile(half: np.ndarray, q: float) -> float:
    """x with mean over rows of min(x / half, 1) = q: 180 q / k if all orders are equal."""
    low, high = 0.0, float(half.max())
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if np.minimum(x / half, 1).mean() < q else (low, x)
    return high


def _quantile(error: np.ndarray, q: float, resampling: Resampling, **known) -> Score:
    n, sources = len(error), resampling.sources(len(error))
    # a quantile of 360,000 pairs takes 10 ms; the interval of that many needs no 200 resamples
    resamples = min(resampling.resamples, max(25, 10_000_000 // error.size))
    resampling = replace(resampling, resamples=resamples)
    if sources.max() + 1 == n:
        resampling = replace(resampling, groups=None)  # the same draws, faster
    interval = resampling.interval(lambda rows: np.quantile(error[rows], q), n)
    return Score(np.quantile(error, q), error.size, interval=interval, **known)
