"""Our clustering and content scores beside those of scikit-learn and torchmetrics, on the same inputs.

python benchmarks/golden_content.py
"""

import itertools

import numpy as np
import torch
from sklearn import metrics as sk
from torchmetrics import clustering as tm

from eqvae.metrics.clustering.partitions import HungarianAccuracy, clustering_scores, contingency
from eqvae.metrics.content.rank import effective_rank


def partitions() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs (clusters, labels): noisy, random, more clusters, fewer clusters, one sample each."""
    generator = np.random.default_rng(0)
    labels = generator.integers(6, size=600)
    random = generator.integers(6, size=600)
    noisy = np.where(generator.random(600) < 0.3, random, (labels + 2) % 6)
    return {
        "noisy": (noisy, labels),
        "random": (random, labels),
        "more": (noisy + 6 * generator.integers(2, size=600), labels),
        "fewer": (noisy // 2, labels),
        "small": (generator.integers(3, size=12), generator.integers(4, size=12)),
    }


def brute_force_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The best share right over all ways to name the clusters; at most one name each."""
    size = max(predicted.max(), labels.max()) + 1
    table = contingency(predicted, labels, (size, size))
    ways = itertools.permutations(range(size))
    return max(sum(table[c, way[c]] for c in range(size)) for way in ways) / len(labels)


def agreement_with_libraries() -> dict[str, float]:
    """Largest absolute difference by score, over all pairs of `partitions`."""
    differences: dict[str, list[float]] = {}
    for name, (predicted, labels) in partitions().items():
        ours = clustering_scores(predicted, labels, preset="fast")
        tensors = torch.as_tensor(predicted), torch.as_tensor(labels)
        table = sk.cluster.contingency_matrix(labels, predicted)
        others = {
            "sklearn_ari": ("ari", sk.adjusted_rand_score(labels, predicted)),
            "sklearn_nmi": ("nmi", sk.normalized_mutual_info_score(labels, predicted)),
            "sklearn_ami": ("ami", sk.adjusted_mutual_info_score(labels, predicted)),
            "sklearn_purity": ("purity", table.max(axis=0).sum() / table.sum()),
            "torchmetrics_ari": ("ari", tm.AdjustedRandScore()(*tensors)),
            "torchmetrics_nmi": ("nmi", tm.NormalizedMutualInfoScore()(*tensors)),
            "torchmetrics_ami": ("ami", tm.AdjustedMutualInfoScore()(*tensors)),
        }
        if name != "more":  # 12! ways are too many
            others["brute_force_accuracy"] = ("accuracy", brute_force_accuracy(predicted, labels))
        streamed = HungarianAccuracy(12, 6)
        for batch in zip(tensors[0].split(100), tensors[1].split(100), strict=True):
            streamed.update(*batch)
        others["streamed_accuracy"] = ("accuracy", streamed.compute())
        for key, (score, other) in others.items():
            differences.setdefault(key, []).append(abs(ours[score].value - float(other)))

    codes = np.random.default_rng(1).normal(size=(200, 5)) * [3, 2, 1, 0.5, 0.1]
    sigma = np.linalg.svd(codes - codes.mean(axis=0), compute_uv=False)
    p = sigma / sigma.sum()
    exact = np.exp(-(p * np.log(p)).sum())
    differences["svd_effective_rank"] = [abs(effective_rank(codes)["effective_rank"].value - exact)]
    return {key: float(max(values)) for key, values in differences.items()}


if __name__ == "__main__":
    for key, difference in agreement_with_libraries().items():
        print(f"{key:24s} {difference:.1e}")
