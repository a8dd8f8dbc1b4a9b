"""The Frechet distance of two sets of feature vectors.

    |m_r - m_s|^2 + tr C_r + tr C_s - 2 tr (C_r^(1/2) C_s C_r^(1/2))^(1/2)

Of two finite sets of the same distribution it is not 0 but about proportional to 1/n + 1/m; its ceiling here
is that of two halves of the real images, brought to the sizes n and m by this rule.

References: Heusel et al., GANs trained by a two time-scale update rule (2017), section 4; Dowson, Landau,
The Frechet distance between multivariate normal distributions (1982).
"""

import math
from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.generation.feature_sets import (
    Features,
    FeatureSets,
    pooled_sources,
    random_halves,
    split_pool,
)
from eqvae.metrics.intervals import Interval, Resampling
from eqvae.metrics.score import Score


def frechet_distance(
    real: ArrayLike, samples: ArrayLike, **features: Unpack[Features]
) -> dict[str, Score]:
    """`fd_<name>`, lower is better.

    Args:
        real: features, (N, F).
        samples: features, (M, F).
        **features: see `Features`; 50 resamples, of real and generated images.

    Returns:
        The distance; null unless there are more images than features on both sides.

    Raises:
        ValueError: if features are not finite or differ in number.
    """
    sets = FeatureSets.of(real, samples, features, resamples=50)
    a, b, (n, m) = sets.real, sets.samples, sets.sizes
    known = dict(n=min(n, m), better="lower", page="frechet-distance")
    if reason := too_few(n, m, a.shape[1]):
        return {f"fd_{sets.name}": Score.null(reason, **known)}

    def distance(rows: np.ndarray) -> float:
        first, second = split_pool(rows, n)
        if min(len(first), len(second)) < 2:
            return math.nan
        return frechet(a[first], b[second])

    pool = replace(sets.resampling, groups=pooled_sources(n, m, sets.resampling))
    score = Score(
        frechet(a, b),
        floor=None if sets.destroyed is None else frechet(a, sets.destroyed),
        ceiling=halves_distance(a, m, sets.resampling),
        interval=not_negative(pool.interval(distance, n + m)),
        **known,
    )
    return {f"fd_{sets.name}": score}


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The Frechet distance of two sets of features (n, F) and (m, F), biased as explained above."""
    difference = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # the singular values of A^(1/2) B^(1/2) sum to the last trace, and stay real at any rank
    cross = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    return max(float(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * cross), 0.0)


def too_few(n: int, m: int, dim: int) -> str:
    """Why covariances of so many images are no measure; empty if they are."""
    if min(n, m) > dim:
        return ""
    return f"needs more images than the {dim} features; got {n} real and {m} generated"


def halves_distance(a: np.ndarray, m: int, resampling: Resampling) -> float | None:
    """Mean distance of two halves over 5 splits, brought to len(a) against m images by its 1/n + 1/m."""
    distances = []
    for split in range(5):
        first, second = random_halves(len(a), resampling, split)
        if min(len(first), len(second)) < 2:
            return None
        scale = (1 / len(a) + 1 / m) / (1 / len(first) + 1 / len(second))
        distances.append(scale * frechet(a[first], a[second]))
    return float(np.mean(distances))


def not_negative(interval: Interval | None) -> Interval | None:
    """An interval of a distance, cut at 0."""
    return interval and (max(interval[0], 0.0), interval[1])


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
