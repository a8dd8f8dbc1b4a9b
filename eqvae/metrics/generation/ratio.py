"""The Frechet distance of samples, over those of two sets that say how near a model can come.

    oracle            decoded draws of q(z | x) of training images: what a perfect prior would give
    reconstructions   decoded modes of q(z | x) of the real images: what a perfect posterior would give

    ratio = FD(real, samples) / FD(real, reference)

Over the oracle, 1 says that the prior draws latents as the encoder gives them, whatever the decoder loses;
over the reconstructions the best is what the oracle has there. All distances are of the same real images.
"""

import math
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.generation.feature_sets import Features, FeatureSets
from eqvae.metrics.generation.frechet import frechet, halves_distance, not_negative, too_few
from eqvae.metrics.inputs import as_codes, check_lengths
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score

PAGE = "distance-ratio"
_ROUNDING = 1e-9  # of the variance of all features
NAMES = ("oracle", "reconstruction", "over_oracle", "over_reconstruction")


def distance_ratio(
    real: ArrayLike,
    samples: ArrayLike,
    oracle: ArrayLike,
    reconstructions: ArrayLike,
    **features: Unpack[Features],
) -> dict[str, Score]:
    """`fd_<name>/oracle`, `fd_<name>/reconstruction`, and what the samples have over each of them.

    Args:
        real: features, (N, F).
        samples: features, (M, F).
        oracle: features of decoded draws of the posteriors of training images, (K, F); as many as samples,
            or the ratio compares biases.
        reconstructions: features of the reconstructions of the real images, row by row, (N, F).
        **features: see `Features`; 50 resamples, of all sets, real images and reconstructions in pairs.

    Returns:
        Two distances, and `fd_<name>/over_oracle` and `fd_<name>/over_reconstruction`: lower is better,
        1 and the oracle's own ratio are perfect. Null unless there are more images than features.

    Raises:
        ValueError: if features are not finite, differ in number, or reconstructions in their rows.
    """
    sets = FeatureSets.of(real, samples, features, resamples=50)
    others = [as_codes(oracle, "oracle"), as_codes(reconstructions, "reconstructions")]
    parts = [sets.real, sets.samples, *others]
    check_lengths(real=sets.real, reconstructions=others[1])
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(
            "real, samples, oracle and reconstructions must be features of the same network; got "
            f"{[part.shape[1] for part in parts]} columns."
        )
    n, fewest = len(sets.real), min(map(len, parts[1:]))
    known = dict(n=min(n, fewest), better="lower", page=PAGE)
    names = [f"fd_{sets.name}/{name}" for name in NAMES]
    if reason := too_few(n, fewest, sets.real.shape[1]):
        return Score.nulls(names, reason, **known)
    found = _values(parts, np.arange(sum(map(len, parts[:3]))))
    if not min(found[:2]) > _ROUNDING * sets.real.var(axis=0).sum():
        reason = "oracle or reconstructions are no farther from the real images than rounding"
        return Score.nulls(names, reason, **known)
    resampling = _pool(sets.resampling, [len(part) for part in parts[:3]])
    intervals = resampling.intervals(
        lambda rows: _values(parts, rows), sum(map(len, parts[:3])), found
    )
    floors, ceilings = _floors(sets, found), _ceilings(sets, found)
    columns = zip(names, found, floors, ceilings, map(not_negative, intervals), strict=True)
    return {
        name: Score(value, floor=floor, ceiling=ceiling, interval=interval, **known)
        for name, value, floor, ceiling, interval in columns
    }


def _values(parts: list[np.ndarray], rows: np.ndarray) -> list[float]:
    """The four numbers for rows of a pool of real images, samples and oracle, in this order."""
    real, samples, oracle, reconstructions = parts
    first, second = len(real), len(real) + len(samples)
    paired, drawn = rows[rows < first], rows[(rows >= first) & (rows < second)] - first
    ideal = rows[rows >= second] - second
    if min(len(paired), len(drawn), len(ideal)) < 2:
        return [math.nan] * 4
    x = real[paired]
    distance = frechet(x, samples[drawn])
    best = [frechet(x, oracle[ideal]), frechet(x, reconstructions[paired])]
    return [*best, *(distance / b if b > 0 else math.nan for b in best)]


def _floors(sets: FeatureSets, found: list[float]) -> list[float | None]:
    if sets.destroyed is None:
        return [None] * 4
    floor = frechet(sets.real, sets.destroyed)
    return [floor, floor, floor / found[0], floor / found[1]]


def _ceilings(sets: FeatureSets, found: list[float]) -> list[float | None]:
    """Reconstructions of the real images can come as near as copies: 0."""
    halves = halves_distance(sets.real, len(sets.samples), sets.resampling)
    return [halves, 0.0, 1.0, found[0] / found[1]]


def _pool(resampling: Resampling, sizes: list[int]) -> Resampling:
    """Of the rows of all sets in one list: sources of the real images, and every other row its own."""
    real = resampling.sources(sizes[0])
    rest = real.max() + 1 + np.arange(sum(sizes[1:]))
    return Resampling(np.concatenate([real, rest]), resampling.resamples, resampling.seed)
