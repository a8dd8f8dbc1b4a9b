"""The squared kernel distance of two sets of features, 0 on average for one distribution at any size.

    E k(r, r') + E k(s, s') - 2 E k(r, s),     k(a, b) = (a . b / F + 1)^3,   unbiased

Reference: Binkowski et al., Demystifying MMD GANs (2018), section 4.
"""

import math
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from eqvae.metrics.generation.feature_sets import Features, FeatureSets
from eqvae.metrics.intervals import Interval
from eqvae.metrics.score import Score

_ROWS = 1000  # of a kernel matrix in memory at a time


def kernel_distance(
    real: ArrayLike, samples: ArrayLike, **features: Unpack[Features]
) -> dict[str, Score]:
    """`kd_<name>`, lower is better; null below 20 images on either side.

    The interval comes from the distances of 10 disjoint parts; it is too wide near 0. Arguments as in
    `frechet_distance`.
    """
    sets = FeatureSets.of(real, samples, features)
    a, (n, m) = sets.real, sets.sizes
    known = dict(n=min(n, m), better="lower", ceiling=0.0, page="kernel-distance")
    if min(n, m) < 20:
        reason = f"needs 20 real and 20 generated images; got {n} and {m}"
        return {f"kd_{sets.name}": Score.null(reason, **known)}
    value = kernel_mmd(a, sets.samples)
    floor = None if sets.destroyed is None else kernel_mmd(a, sets.destroyed)
    score = Score(value, floor=floor, interval=_interval_of_parts(value, sets), **known)
    return {f"kd_{sets.name}": score}


def kernel_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased squared kernel distance of two sets of features; may be slightly negative."""
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _kernel(a, a, paired=True).sum()) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _kernel(b, b, paired=True).sum()) / (m * (m - 1))
    return float(within_a + within_b - 2 * _kernel_sum(a, b) / (n * m))


def _kernel(a: np.ndarray, b: np.ndarray, *, paired: bool = False) -> np.ndarray:
    inner = np.einsum("nf,nf->n", a, b) if paired else a @ b.T
    return (inner / a.shape[1] + 1) ** 3


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    return sum(_kernel(a[i : i + _ROWS], b).sum() for i in range(0, len(a), _ROWS))


def _interval_of_parts(value: float, sets: FeatureSets, parts: int = 10) -> Interval:
    n, m = sets.sizes
    generator, source = sets.resampling.generator(), sets.resampling.sources(n)
    order = np.argsort(generator.permutation(source.max() + 1)[source], kind="stable")
    real = np.array_split(order, parts)
    samples = np.array_split(generator.permutation(m), parts)
    draws = [kernel_mmd(sets.real[i], sets.samples[j]) for i, j in zip(real, samples, strict=True)]
    half = student.ppf(0.975, parts - 1) * np.std(draws, ddof=1) / math.sqrt(parts)
    return value - half, value + half
