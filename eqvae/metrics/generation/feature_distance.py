"""Frechet and kernel distance of two sets of feature vectors.

    Frechet    |m_r - m_s|^2 + tr C_r + tr C_s - 2 tr (C_r^(1/2) C_s C_r^(1/2))^(1/2)
    kernel     E k(r, r') + E k(s, s') - 2 E k(r, s),     k(a, b) = (a . b / F + 1)^3,   unbiased

The Frechet distance of two finite sets of the same law is not 0 but about proportional to 1/n + 1/m; its
ceiling here is that of two halves of the real images, brought to the sizes n and m by this law.

References: Heusel et al., GANs trained by a two time-scale update rule (2017), section 4; Dowson, Landau,
The Frechet distance between multivariate normal distributions (1982); Binkowski et al., Demystifying MMD
GANs (2018), section 4.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from eqvae.metrics.inputs import as_codes, check_lengths
from eqvae.metrics.score import Interval, Score, bootstrap

_ROWS = 1000  # of a kernel matrix in memory at a time


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The Frechet distance of two sets of features (n, F) and (m, F), biased as explained above."""
    difference = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # the singular values of A^(1/2) B^(1/2) sum to the last trace, and stay real at any rank
    cross = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    return max(float(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * cross), 0.0)


def kernel_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased squared kernel distance of two sets of features; may be slightly negative."""
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _kernel(a, a, paired=True).sum()) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _kernel(b, b, paired=True).sum()) / (m * (m - 1))
    return float(within_a + within_b - 2 * _kernel_sum(a, b) / (n * m))


def frechet_distance(
    real: ArrayLike,
    samples: ArrayLike,
    *,
    destroyed: ArrayLike | None = None,
    name: str = "posed",
    groups: ArrayLike | None = None,
    resamples: int = 50,
    seed: int = 0,
) -> dict[str, Score]:
    """`fd_<name>`, lower is better.

    Args:
        real: features, (N, F).
        samples: features, (M, F).
        destroyed: features of real images with shuffled pixels: the floor.
        name: of the feature network.
        groups: source of each real image, (N,): kept together in halves and bootstrap.
        resamples: of the bootstrap, which draws real and generated images.
        seed: of halves and bootstrap.

    Returns:
        The distance; null unless there are more images than features on both sides.

    Raises:
        ValueError: if features are not finite or differ in number.
    """
    a, b, spoiled = checked_features(real, samples, destroyed, groups)
    n, m, dim = len(a), len(b), a.shape[1]
    known = dict(n=min(n, m), better="lower", page="frechet-distance")
    if min(n, m) <= dim:
        reason = f"needs more images than the {dim} features; got {n} real and {m} generated"
        return {f"fd_{name}": Score.null(reason, **known)}
    pooled = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    pooled = np.concatenate([pooled, pooled.max() + 1 + np.arange(m)])

    def distance(rows: np.ndarray) -> float:
        first, second = rows[rows < n], rows[rows >= n] - n
        if min(len(first), len(second)) < 2:
            return math.nan
        return frechet(a[first], b[second])

    interval = bootstrap(distance, n + m, groups=pooled, resamples=resamples, seed=seed)
    score = Score(
        frechet(a, b),
        floor=None if spoiled is None else frechet(a, spoiled),
        ceiling=halves_distance(a, m, groups, seed),
        interval=not_negative(interval),
        **known,
    )
    return {f"fd_{name}": score}


def kernel_distance(
    real: ArrayLike,
    samples: ArrayLike,
    *,
    destroyed: ArrayLike | None = None,
    name: str = "posed",
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """`kd_<name>`, lower is better, expected 0 for two sets of one law at any size.

    The interval comes from the distances of 10 disjoint blocks; it is too wide near 0. Arguments as in
    `frechet_distance`; null below 20 images on either side.
    """
    a, b, spoiled = checked_features(real, samples, destroyed, groups)
    n, m = len(a), len(b)
    known = dict(n=min(n, m), better="lower", ceiling=0.0, page="kernel-distance")
    if min(n, m) < 20:
        reason = f"needs 20 real and 20 generated images; got {n} and {m}"
        return {f"kd_{name}": Score.null(reason, **known)}
    value = kernel_mmd(a, b)
    score = Score(
        value,
        floor=None if spoiled is None else kernel_mmd(a, spoiled),
        interval=_block_interval(value, a, b, groups, seed),
        **known,
    )
    return {f"kd_{name}": score}


def halves_distance(a: np.ndarray, m: int, groups: ArrayLike | None, seed: int) -> float | None:
    """Mean FD of two halves over 5 splits, brought to len(a) against m images by its 1/n + 1/m."""
    distances = []
    for split in range(5):
        first, second = random_halves(len(a), groups, seed + split)
        if min(len(first), len(second)) < 2:
            return None
        scale = (1 / len(a) + 1 / m) / (1 / len(first) + 1 / len(second))
        distances.append(scale * frechet(a[first], a[second]))
    return float(np.mean(distances))


def not_negative(interval: Interval | None) -> Interval | None:
    """An interval of a distance, cut at 0."""
    return interval and (max(interval[0], 0.0), interval[1])


def random_halves(n: int, groups: ArrayLike | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random halves of the rows; rows of one source stay together."""
    source = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(source.max() + 1)
    first = np.isin(source, order[: len(order) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def checked_features(real: ArrayLike, samples: ArrayLike, destroyed: ArrayLike | None, groups):
    a, b = as_codes(real, "real"), as_codes(samples, "samples")
    spoiled = None if destroyed is None else as_codes(destroyed, "destroyed")
    check_lengths(real=a, groups=groups)
    if len({x.shape[1] for x in (a, b, a if spoiled is None else spoiled)}) > 1:
        raise ValueError(
            "real and samples must be features of the same network; got "
            f"{a.shape[1]} and {b.shape[1]} columns."
        )
    return a, b, spoiled


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _kernel(a: np.ndarray, b: np.ndarray, *, paired: bool = False) -> np.ndarray:
    inner = np.einsum("nf,nf->n", a, b) if paired else a @ b.T
    return (inner / a.shape[1] + 1) ** 3


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    return sum(_kernel(a[i : i + _ROWS], b).sum() for i in range(0, len(a), _ROWS))


def _block_interval(
    value: float,
    a: np.ndarray,
    b: np.ndarray,
    groups: ArrayLike | None,
    seed: int,
    blocks: int = 10,
) -> Interval:
    generator = np.random.default_rng(seed)
    source = np.arange(len(a)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(generator.permutation(source.max() + 1)[source], kind="stable")
    parts = zip(
        np.array_split(order, blocks),
        np.array_split(generator.permutation(len(b)), blocks),
        strict=True,
    )
    draws = [kernel_mmd(a[i], b[j]) for i, j in parts]
    half = student.ppf(0.975, blocks - 1) * np.std(draws, ddof=1) / math.sqrt(blocks)
    return value - half, value + half
