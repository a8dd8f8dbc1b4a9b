"""Precision and recall of generated images: do the samples lie where real images lie, and the reverse.

    precision  share of samples within the k-th neighbour distance of some real image
    recall     share of real images within the k-th neighbour distance of some sample

References: Kynkaanniemi et al., Improved precision and recall metric for assessing generative models
(2019); Naeem et al., Reliable fidelity and diversity metrics for generative models (2020), eq. (5), (6)
and lemma 2.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from eqvae.metrics.generation.feature_distance import checked_features, random_halves
from eqvae.metrics.score import Score, bootstrap

_ROWS = 1000  # of a distance matrix in memory at a time


def precision_recall(
    real: ArrayLike,
    samples: ArrayLike,
    *,
    k: int = 3,
    destroyed: ArrayLike | None = None,
    name: str = "posed",
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Score]:
    """`precision_`, `recall_`, `density_` and `coverage_<name>`, higher is better.

    Density is the number of real balls around a sample over k, 1 on average for samples of the real law
    and not bounded; coverage is the share of real balls with a sample inside, for samples of the real
    law 1 - (n-1)...(n-k) / ((n+m-1)...(n+m-k)) on average. Unlike precision and recall neither is fooled
    by one outlier with a huge ball. Ceilings of precision and recall are those of two halves of the real
    images; intervals resample the images scored, with the balls held fixed.

    Args:
        real: features, (N, F).
        samples: features, (M, F).
        k: the radius of a ball is the distance to the k-th nearest neighbour in the same set.
        destroyed: features of real images with shuffled pixels: the floor.
        name: of the feature network.
        groups: source of each real image, (N,).
        resamples: of the bootstrap.
        seed: of halves and bootstrap.

    Returns:
        The scores; null unless both sides have more than 2 k images.

    Raises:
        ValueError: if k < 1, or features are not finite or differ in number.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1 neighbour; got {k}.")
    a, b, spoiled = checked_features(real, samples, destroyed, groups)
    n, m = len(a), len(b)
    names = ("precision", "recall", "density", "coverage")
    known = dict(page="precision-and-recall")
    if min(n, m) <= 2 * k:
        reason = f"needs more than 2 k = {2 * k} images on both sides; got {n} and {m}"
        return {f"{s}_{name}": Score.null(reason, n=min(n, m), **known) for s in names}
    measured = _manifold_overlap(a, b, k)
    floors = {} if spoiled is None else _manifold_overlap(a, spoiled, k)
    first, second = random_halves(n, groups, seed)
    ceilings = {}
    if min(len(first), len(second)) > k:
        ceilings = {s: v.mean() for s, v in _manifold_overlap(a[first], a[second], k).items()}
    i = np.arange(1, k + 1)
    ceilings |= {"density": 1.0, "coverage": 1 - np.prod((n - i) / (n + m - i))}
    scores = {}
    for s, values in measured.items():
        of_real = s in ("recall", "coverage")
        interval = bootstrap(
            lambda rows, values=values: float(values[rows].mean()),
            len(values),
            groups=groups if of_real else None,
            resamples=resamples,
            seed=seed,
        )
        scores[f"{s}_{name}"] = Score(
            values.mean(),
            n=len(values),
            floor=float(floors[s].mean()) if s in floors else None,
            ceiling=float(ceilings[s]) if s in ceilings else None,
            interval=interval,
            **known,
        )
    return scores


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
