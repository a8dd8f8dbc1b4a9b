"""Agreement of clusters with classes.

Everything follows from the contingency table n_ck, the number of samples in cluster c and class k, with
N their sum, p = n_ck / N and H entropies in nats:

    accuracy   max over one-to-one matchings m of  sum_c n_{c, m(c)} / N      (Hungarian algorithm)
    purity     sum_c max_k n_ck / N
    nmi        I(c; k) / ((H(c) + H(k)) / 2)
    ari        pairs placed together in both, minus their expectation, over the same for a perfect match
    ami        (I - E[I]) / ((H(c) + H(k)) / 2 - E[I])

E[I] is over permutations of the labels. Accuracy, purity and NMI are not zero by chance, so every score
comes with the value that shuffled clusters reach.

References: Kuhn, The Hungarian method (1955); Hubert, Arabie, Comparing partitions (1985); Vinh, Epps,
Bailey, Information theoretic measures for clusterings comparison (JMLR 2010).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.special import entr
from sklearn.metrics.cluster import expected_mutual_information
from torch import Tensor
from torchmetrics import Metric

from eqvae.metrics.inputs import as_classes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "clustering"


class Effort(NamedTuple):
    """What a preset spends.

    Attributes:
        ward_rows: rows for Ward's method, whose memory grows as their square.
        mixture_rows: rows that a Gaussian mixture is fitted on.
        resamples: of an interval.
        shuffles: for a floor.
    """

    ward_rows: int
    mixture_rows: int
    resamples: int
    shuffles: int


PRESETS = {"fast": Effort(2_000, 2_500, 50, 20), "full": Effort(5_000, 100_000, 200, 100)}


def matched_accuracy(table: np.ndarray) -> float:
    """Share of samples in the best one-to-one matching of clusters (rows) to classes (columns).

    A table that is not square is padded with empty rows or columns: samples of a cluster without a class
    are wrong.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)  # pads by leaving rows unmatched
    return float(table[rows, columns].sum() / table.sum())


def purity(table: np.ndarray) -> float:
    """Share of samples that belong to the commonest class of their cluster; 1 for single-sample clusters."""
    return float(table.max(axis=1).sum() / table.sum())


def normalised_information(table: np.ndarray) -> float:
    """NMI with the arithmetic mean of the entropies; 1 if both partitions are one single set."""
    information, mean_entropy = _information(table)
    return information / mean_entropy if mean_entropy > 0 else 1.0


def adjusted_rand(table: np.ndarray) -> float:
    """ARI: 0 on average for random clusters of the same sizes, 1 for equal partitions."""
    together = _pairs(table).sum()
    clusters, classes = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = clusters * classes / _pairs(table.sum())
    perfect = (clusters + classes) / 2
    return float((together - expected) / (perfect - expected)) if perfect != expected else 1.0


def adjusted_information(table: np.ndarray, expected: float | None = None) -> float:
    """AMI: 0 on average for random clusters of the same sizes, 1 for equal partitions.

    Args:
        table: n_ck.
        expected: E[I] in nats, where it is known; it depends on the margins of the table alone.
    """
    information, mean_entropy = _information(table)
    expected = expected_information(table) if expected is None else expected
    gap = mean_entropy - expected
    return float((information - expected) / gap) if abs(gap) > 1e-15 else 1.0


def expected_information(table: np.ndarray) -> float:
    """E[I] over permutations of the labels, nats."""
    return expected_mutual_information(table[table.any(axis=1)][:, table.any(axis=0)], table.sum())


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "accuracy": matched_accuracy,
    "purity": purity,
    "nmi": normalised_information,
    "ari": adjusted_rand,
    "ami": adjusted_information,
}


def clustering_scores(
    predicted: ArrayLike,
    labels: ArrayLike,
    *,
    preset: Literal["fast", "full"] = "full",
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Accuracy, purity, NMI, ARI and AMI of given clusters.

    Args:
        predicted: cluster of each sample, whole numbers (N,); their names do not matter.
        labels: class of each sample, whole numbers (N,).
        preset: "fast" takes 50 resamples and 20 shuffles, "full" 200 and 100.
        **draws: see `Draws`.

    Returns:
        The scores by name; higher is better, a perfect partition has 1 in all. The floor is the mean over
        shuffled clusters. Null if there is only one class.

    Raises:
        ValueError: if lengths differ or a label is negative.
    """
    resampling = Resampling.of(draws, effort_of(preset).resamples)
    check_lengths(predicted=predicted, labels=labels, groups=resampling.groups)
    runs, shuffles = as_classes(predicted, "predicted")[None], effort_of(preset).shuffles
    return scores_of_runs(runs, as_classes(labels), shuffles, resampling)


class HungarianAccuracy(Metric):
    """Clustering accuracy over batches, the same number as `clustering_scores(...)["accuracy"]`.

    Accumulates the contingency table, so clusters need not be square with classes, unlike those of
    `torchmetrics.clustering.ClusterAccuracy`, which also needs a compiled package.

    Args:
        num_clusters: clusters are 0, ..., num_clusters - 1.
        num_classes: classes are 0, ..., num_classes - 1.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    table: Tensor

    def __init__(self, num_clusters: int, num_classes: int) -> None:
        super().__init__()
        self.add_state(
            "table", torch.zeros(num_clusters, num_classes, dtype=torch.long), dist_reduce_fx="sum"
        )

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Count a batch of clusters and classes, both (B,)."""
        check_lengths(predicted=predicted, labels=labels)
        for name, values, size in zip(
            ("predicted", "labels"), (predicted, labels), self.table.shape, strict=True
        ):
            if values.is_floating_point() or values.dim() != 1:
                raise ValueError(
                    f"{name} must be whole numbers, (B,); got {values.dtype} {values.shape}."
                )
            if len(values) and (values.min() < 0 or values.max() >= size):
                raise ValueError(
                    f"{name} must be within 0..{size - 1}; got {values.min()} to {values.max()}. "
                    "Leave unknown ones out."
                )
        clusters, classes = self.table.shape
        cells = predicted.long() * classes + labels.long()
        self.table += torch.bincount(cells, minlength=clusters * classes).reshape(clusters, classes)

    def compute(self) -> Tensor:
        """The accuracy, a scalar; NaN before the first sample."""
        if not self.table.any():
            return torch.tensor(float("nan"))
        return torch.tensor(matched_accuracy(self.table.cpu().numpy()))


def contingency(predicted: np.ndarray, labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Counts n_ck of samples in cluster c and class k, of the given shape."""
    cells = np.bincount(predicted * shape[1] + labels, minlength=shape[0] * shape[1])
    return cells.reshape(shape)


def scores_of_runs(
    runs: np.ndarray,
    labels: np.ndarray,
    shuffles: int,
    resampling: Resampling,
    num_clusters: int | None = None,
) -> dict[str, Score]:
    """Scores of runs of clusters (S, N): means over runs, intervals over rows, floors over shuffles."""
    n, shape = len(labels), (int(runs.max()) + 1, int(labels.max()) + 1)
    if shape[1] < 2:
        return Score.nulls(MEASURES, "there is only one class", n=n, page=PAGE)
    clusters = shape[0] if num_clusters is None else num_clusters
    generator = resampling.generator()
    tables = [contingency(run, labels, shape) for run in runs]
    shuffled = [
        contingency(generator.permutation(runs[s % len(runs)]), labels, shape)
        for s in range(shuffles)
    ]
    # Shuffling keeps the margins and resampling hardly moves them: E[I] is worked out once a run.
    expected = [expected_information(table) for table in tables]
    largest = np.sort(np.bincount(labels))[::-1]
    scores = {}
    for name, measure in MEASURES.items():

        def measured(table, run, name=name, measure=measure):
            return measure(table, expected[run]) if name == "ami" else measure(table)

        def mean_over_runs(rows, measured=measured):
            drawn = labels[rows]
            tables = (contingency(run[rows], drawn, shape) for run in runs)
            return np.mean([measured(table, s) for s, table in enumerate(tables)])

        values = [measured(table, s) for s, table in enumerate(tables)]
        chance = [measured(table, s % len(runs)) for s, table in enumerate(shuffled)]
        matched = name in ("accuracy", "purity")  # fewer clusters than classes cannot name them all
        complete = 1.0 if clusters >= shape[1] else None
        scores[name] = Score.of_statistic(
            mean_over_runs,
            n,
            resampling,
            floor=np.mean(chance),
            ceiling=largest[:clusters].sum() / n if matched else complete,
            std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            page=PAGE,
        )
    return scores


def effort_of(preset: str) -> Effort:
    """What a preset spends; an unknown one is refused."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}.")
    return PRESETS[preset]


def _information(table: np.ndarray) -> tuple[float, float]:
    """I(c; k) and the mean of H(c) and H(k), nats."""
    p = table / table.sum()
    clusters, classes = entr(p.sum(axis=1)).sum(), entr(p.sum(axis=0)).sum()
    information = max(clusters + classes - entr(p).sum(), 0.0)
    return float(information), float(clusters + classes) / 2


def _pairs(count: np.ndarray) -> np.ndarray:
    count = np.asarray(count, dtype=float)
    return count * (count - 1) / 2
