"""Whether a generator is as good at every orientation.

At each angle 2 pi i / num_angles the Frechet distance between the real images turned by it and the samples
decoded from latents turned by it: its mean, spread and largest value over the angles.

Resampling blurs: where real images can't be drawn anew, compare with the ceiling, which is blurred likewise,
or give images in uniformly random pose, as they are, for every angle.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np
from torch import nn

from eqvae.metrics.generation.feature_sets import pooled_sources, split_pool
from eqvae.metrics.generation.features import image_features
from eqvae.metrics.generation.frechet import frechet, halves_distance, not_negative, too_few
from eqvae.metrics.generation.samples import Images, network_name, real_features
from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score


def distance_by_orientation(
    real: Callable[[float], Images],
    samples: Callable[[float], Images],
    *,
    num_angles: int = 8,
    network: nn.Module | None = None,
    name: str | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Whether a generator is as good at every orientation; row j is one image or latent at every angle.

    Args:
        real: angle in radians -> images (N, C, H, H) in [0, 1], or batches of them.
        samples: angle in radians -> decoded images (M, C, H, H), or batches of them.
        num_angles: how many.
        network, name: as in `generation_scores`.
        **draws: see `Draws`; `groups` are of the real images; 20 resamples, at all angles together.

    Returns:
        `fd_<name>/orientation_mean`, `.../orientation_spread` (standard deviation over the angles) and
        `.../orientation_worst` (largest), lower is better, and `.../worst_angle`, degrees. Ceilings are
        the same numbers for two halves of the real images.

    Raises:
        ValueError: if num_angles < 2, or a callable gives another number of images at some angle.
    """
    if num_angles < 2:
        raise ValueError(f"num_angles must be at least 2; got {num_angles}.")
    name, resampling = network_name(network, name), Resampling.of(draws, resamples=20)
    angles = (2 * math.pi * np.arange(num_angles) / num_angles).tolist()
    x0, destroyed = real_features(real(angles[0]), network, resampling.seed)
    turned = [x0] + [image_features(real(t), network) for t in angles[1:]]
    drawn = [image_features(samples(t), network) for t in angles]
    n, m = _same_number("real", turned), _same_number("samples", drawn)
    check_lengths(real=n, groups=resampling.groups)
    known = dict(n=min(n, m), page="distance-by-orientation")
    if reason := too_few(n, m, x0.shape[1]):
        null = {s: Score.null(reason, better="lower", **known) for s in _SUMMARIES}
        null["worst_angle"] = Score.null(reason, better="neither", **known)
        return {f"fd_{name}/{s}": score for s, score in null.items()}
    distances = _distances(turned, drawn)
    best = [halves_distance(a, m, resampling) for a in turned]
    floor = frechet(x0, destroyed)
    curve = _resampled_curve(turned, drawn)
    pool = replace(resampling, groups=pooled_sources(n, m, resampling))
    intervals = pool.intervals(lambda rows: _summaries(curve(rows)), n + m, _summaries(distances))
    ceilings = [None] * len(_SUMMARIES) if None in best else _summaries(best)
    scores = {}
    for i, (s, summary) in enumerate(_SUMMARIES.items()):
        scores[s] = Score(
            summary(distances),
            better="lower",
            floor=None if s == "orientation_spread" else floor,
            ceiling=ceilings[i],
            interval=not_negative(intervals[i]),
            **known,
        )
    worst = math.degrees(angles[distances.argmax()])
    scores["worst_angle"] = Score(worst, better="neither", unit="degrees", **known)
    return {f"fd_{name}/{s}": score for s, score in scores.items()}


_SUMMARIES = {
    "orientation_mean": np.mean,
    "orientation_spread": np.std,
    "orientation_worst": np.max,
}


def _summaries(distances: Sequence[float]) -> list[float]:
    return [summary(distances) for summary in _SUMMARIES.values()]


def _same_number(what: str, sets: Sequence[np.ndarray]) -> int:
    """How many images there are at every angle."""
    if len({len(s) for s in sets}) > 1:
        raise ValueError(
            f"{what} must give the same images at every angle; got {[len(s) for s in sets]} images."
        )
    return len(sets[0])


def _distances(turned: Sequence[np.ndarray], drawn: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([frechet(a, b) for a, b in zip(turned, drawn, strict=True)])


def _resampled_curve(
    turned: Sequence[np.ndarray], drawn: Sequence[np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Rows of the pool of real and generated images -> distances at every angle; NaN with too few rows."""
    n = len(turned[0])

    def curve(rows: np.ndarray) -> np.ndarray:
        first, second = split_pool(rows, n)
        if min(len(first), len(second)) < 2:
            return np.full(len(turned), math.nan)
        return _distances([a[first] for a in turned], [b[second] for b in drawn])

    return curve
