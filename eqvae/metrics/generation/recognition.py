"""Whether samples are something: the share that a classifier recognises as surely as it does real images.

    recognised_share = share of samples with max_k p(k | y) above t,    t the 5 % quantile of max_k p(k | x)

over held-out real images x. Real images have 95 % by construction; the classifier's own errors lower t and
not the ceiling.
"""

import math
from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.generation.feature_sets import pooled_sources, split_pool
from eqvae.metrics.inputs import as_array, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "recognised-share"
LEVEL = 0.05  # of real images whose confidence is not enough


def recognised_share(
    real: ArrayLike,
    samples: ArrayLike,
    labels: ArrayLike | None = None,
    destroyed: ArrayLike | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """`recognised_share`, higher is better, and `recogniser_accuracy` on the real images.

    Args:
        real: p(class | x) of held-out real images, (N, K), by a classifier that was trained on others.
        samples: of generated images, (M, K).
        labels: the right column for each real image, (N,), -1 where none is; None for no accuracy.
        destroyed: of real images with shuffled pixels, (L, K): the floor.
        **draws: see `Draws`; `groups` are of the real images; 200 resamples of real images and samples.

    Returns:
        The scores; null below 20 images on either side.

    Raises:
        ValueError: if probabilities are not finite or differ in their classes.
    """
    resampling = Resampling.of(draws, resamples=200)
    a, b = as_codes(real, "real"), as_codes(samples, "samples")
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"real and samples must be of the same classes; got {a.shape[1]} and {b.shape[1]}."
        )
    n, m = len(a), len(b)
    check_lengths(real=n, groups=resampling.groups)
    if min(n, m) < 1 / LEVEL:
        reason = f"needs {1 / LEVEL:.0f} real and generated images; got {n} and {m}"
        return {"recognised_share": Score.null(reason, n=min(n, m), page=PAGE)}
    sure, drawn = a.max(axis=1), b.max(axis=1)

    def share(rows: np.ndarray) -> float:
        first, second = split_pool(rows, n)
        if not (len(first) and len(second)):
            return math.nan
        return float(np.mean(drawn[second] > np.quantile(sure[first], LEVEL)))

    floor = None
    if destroyed is not None:
        spoiled = as_codes(destroyed, "destroyed").max(axis=1)
        floor = np.mean(spoiled > np.quantile(sure, LEVEL))
    pool = replace(resampling, groups=pooled_sources(n, m, resampling))
    score = Score(
        value := share(np.arange(n + m)),
        n=min(n, m),
        floor=floor,
        ceiling=1 - LEVEL,
        interval=_between_0_and_1(pool.interval(share, n + m, value)),
        page=PAGE,
    )
    return {"recognised_share": score} | _accuracy(a, labels, resampling)


def _accuracy(
    real: np.ndarray, labels: ArrayLike | None, resampling: Resampling
) -> dict[str, Score]:
    if labels is None:
        return {}
    truth = as_array(labels, "labels", 1)
    check_lengths(real=len(real), labels=len(truth))
    most = np.unique(truth, return_counts=True)[1].max() / len(truth)
    right = (real.argmax(axis=1) == truth).astype(float)
    known = dict(floor=most, ceiling=1.0, page=PAGE)
    return {"recogniser_accuracy": Score.of_mean(right, resampling, **known)}


def _between_0_and_1(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return interval and (max(interval[0], 0.0), min(interval[1], 1.0))
