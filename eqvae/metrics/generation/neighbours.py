"""Precision and recall of generated images: do the samples lie where real images lie, and the reverse.

    precision  share of samples within the k-th neighbour distance of some real image
    recall     share of real images within the k-th neighbour distance of some sample
    density    number of real balls around a sample over k, 1 on average for samples of the real distribution
    coverage   share of real balls with a sample inside

For samples of the real distribution coverage is 1 - (n-1)...(n-k) / ((n+m-1)...(n+m-k)) on average. Density
is not bounded. Unlike precision and recall neither is fooled by one outlier with a huge ball.

References: Kynkaanniemi et al., Improved precision and recall metric for assessing generative models
(2019); Naeem et al., Reliable fidelity and diversity metrics for generative models (2020), eq. (5), (6)
and lemma 2.
"""

from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from eqvae.metrics.generation.feature_sets import Features, FeatureSets, random_halves
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score

_ROWS = 1000  # of a distance matrix in memory at a time


def precision_recall(
    real: ArrayLike, samples: ArrayLike, *, k: int = 3, **features: Unpack[Features]
) -> dict[str, Score]:
    """`precision_`, `recall_`, `density_` and `coverage_<name>`, higher is better.

    Ceilings of precision and recall are those of two halves of the real images; intervals resample the
    images scored, with the balls held fixed.

    Args:
        real: features, (N, F).
        samples: features, (M, F).
        k: the radius of a ball is the distance to the k-th nearest neighbour in the same set.
        **features: see `Features`.

    Returns:
        The scores; null unless both sides have more than 2 k images.

    Raises:
        ValueError: if k < 1, or features are not finite or differ in number.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1 neighbour; got {k}.")
    sets = FeatureSets.of(real, samples, features, resamples=200)
    a, (n, m), name = sets.real, sets.sizes, sets.name
    known = dict(page="precision-and-recall")
    if min(n, m) <= 2 * k:
        reason = f"needs more than 2 k = {2 * k} images on both sides; got {n} and {m}"
        names = [f"{s}_{name}" for s in ("precision", "recall", "density", "coverage")]
        return Score.nulls(names, reason, n=min(n, m), **known)
    measured = _manifold_overlap(a, sets.samples, k)
    floors = {} if sets.destroyed is None else _means(_manifold_overlap(a, sets.destroyed, k))
    first, second = random_halves(n, sets.resampling)
    ceilings = {}
    if min(len(first), len(second)) > k:
        ceilings = _means(_manifold_overlap(a[first], a[second], k))
    i = np.arange(1, k + 1)
    ceilings |= {"density": 1.0, "coverage": 1 - np.prod((n - i) / (n + m - i))}
    of_samples = Resampling(None, sets.resampling.resamples, sets.resampling.seed)
    scores = {}
    for s, values in measured.items():
        resampling = sets.resampling if s in ("recall", "coverage") else of_samples
        scores[f"{s}_{name}"] = Score.of_statistic(
            lambda rows, values=values: values[rows].mean(),
            len(values),
            resampling,
            floor=floors.get(s),
            ceiling=ceilings.get(s),
            **known,
        )
    return scores


def _means(measured: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: values.mean() for name, values in measured.items()}


def _manifold_overlap(a: np.ndarray, b: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Precision and density of every sample b, recall and coverage of every real a."""
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    radius_x, radius_y = _radii(x, k), _radii(y, k)
    balls = torch.zeros(len(y), dtype=torch.float64)  # real balls around each sample
    recall, coverage = [], []
    for rows, radius in zip(x.split(_ROWS), radius_x.split(_ROWS), strict=True):
        distance = torch.cdist(rows, y)
        inside = distance <= radius[:, None]
        balls += inside.sum(dim=0)
        coverage.append(inside.any(dim=1))
        recall.append((distance <= radius_y).any(dim=1))
    return {
        "precision": (balls > 0).double().numpy(),
        "recall": torch.cat(recall).double().numpy(),
        "density": (balls / k).numpy(),
        "coverage": torch.cat(coverage).double().numpy(),
    }


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of every row to its k-th nearest neighbour in the same set."""
    nearest = [torch.cdist(rows, x).topk(k + 1, largest=False).values for rows in x.split(_ROWS)]
    return torch.cat(nearest)[:, k]
