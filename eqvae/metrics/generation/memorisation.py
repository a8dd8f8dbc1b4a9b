"""Whether samples are copies of training images.

    ratio = median over samples of d(y, T) / median over held-out real images of d(x, T)

with d(., T) the distance to the nearest training image in the features of a frozen network. Held-out images
are as near to the training images as honest samples should be.

Reference: Meehan, Chaudhuri, Dasgupta, A non-parametric test to detect data-copying in generative models
(2020), for the comparison with held-out images; they test ranks where we take medians.
"""

import math
from dataclasses import replace
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike

from eqvae.metrics.generation.feature_sets import (
    Features,
    FeatureSets,
    pooled_sources,
    split_pool,
)
from eqvae.metrics.generation.frechet import not_negative
from eqvae.metrics.inputs import as_codes
from eqvae.metrics.score import Score

PAGE = "memorisation-ratio"
_ROWS = 1000  # of a distance matrix in memory at a time


def memorisation_ratio(
    real: ArrayLike, samples: ArrayLike, training: ArrayLike, **features: Unpack[Features]
) -> dict[str, Score]:
    """`memorisation_ratio_<name>`: 1 is right, below 1 are copies, above 1 are images of nothing known.

    Args:
        real: features of held-out images, (N, F).
        samples: features, (M, F).
        training: features of training images, (K, F).
        **features: see `Features`; 200 resamples of real images and samples.

    Returns:
        The ratio; null below 20 images on any side, or where half of the real images are copies.

    Raises:
        ValueError: if features are not finite or differ in number.
    """
    sets = FeatureSets.of(real, samples, features, resamples=200)
    known_images = as_codes(training, "training")
    if known_images.shape[1] != sets.real.shape[1]:
        raise ValueError(
            "training must be features of the same network; got "
            f"{known_images.shape[1]} and {sets.real.shape[1]} columns."
        )
    n, m = sets.sizes
    name = f"memorisation_ratio_{sets.name}"
    known = dict(n=min(n, m), better="neither", ceiling=1.0, page=PAGE)
    if min(n, m, len(known_images)) < 20:
        reason = f"needs 20 images of each kind; got {n} real, {m} generated, {len(known_images)} training"
        return {name: Score.null(reason, **known)}
    own, drawn = (nearest_distance(part, known_images) for part in (sets.real, sets.samples))
    if not np.median(own) > 0:
        reason = "half of the real images are copies of training images"
        return {name: Score.null(reason, **known)}

    def ratio(rows: np.ndarray) -> float:
        first, second = split_pool(rows, n)
        middle = np.median(own[first]) if len(first) else 0.0
        return np.median(drawn[second]) / middle if middle > 0 and len(second) else math.nan

    value = np.median(drawn) / np.median(own)
    floor = None
    if sets.destroyed is not None:
        floor = np.median(nearest_distance(sets.destroyed, known_images)) / np.median(own)
    pool = replace(sets.resampling, groups=pooled_sources(n, m, sets.resampling))
    interval = not_negative(pool.interval(ratio, n + m, value))
    return {name: Score(value, floor=floor, interval=interval, **known)}


def nearest_distance(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Distance of every row to its nearest training image, (N,)."""
    x, t = torch.from_numpy(features), torch.from_numpy(training)
    # the fast form of cdist, by a matrix product, finds copies at 1e-7 of the features' length and not at 0
    near = [
        torch.cdist(rows, t, compute_mode="donot_use_mm_for_euclid_dist") for rows in x.split(_ROWS)
    ]
    return torch.cat([rows.amin(1) for rows in near]).numpy()
