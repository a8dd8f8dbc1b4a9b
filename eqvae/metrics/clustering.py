"""Agreement of clusters with classes, for given clusters or for clusters found in a content code.

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

import warnings
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.special import entr
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.cluster import expected_mutual_information
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits
from torch import Tensor
from torchmetrics import Metric

from eqvae.metrics.inputs import as_classes, as_codes, check_lengths
from eqvae.metrics.score import Score, bootstrap

PAGE = "clustering"
METHODS = ("gaussian_mixture", "kmeans", "agglomerative")


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
    groups: ArrayLike | None = None,
    preset: Literal["fast", "full"] = "full",
    seed: int = 0,
) -> dict[str, Score]:
    """Accuracy, purity, NMI, ARI and AMI of given clusters.

    Args:
        predicted: cluster of each sample, whole numbers (N,); their names do not matter.
        labels: class of each sample, whole numbers (N,).
        groups: source of each sample, (N,), for the intervals.
        preset: "fast" takes fewer resamples and shuffles.
        seed: of resamples and shuffles.

    Returns:
        The scores by name; higher is better, a perfect partition has 1 in all. The floor is the mean over
        shuffled clusters. Null if there is only one class.

    Raises:
        ValueError: if lengths differ or a label is negative.
    """
    check_lengths(predicted=predicted, labels=labels, groups=groups)
    predicted = as_classes(predicted, "predicted")
    return _scores(predicted[None], as_classes(labels), groups, preset, seed)


def cluster(
    content: ArrayLike,
    num_clusters: int,
    method: Literal["gaussian_mixture", "kmeans", "agglomerative"] = "gaussian_mixture",
    *,
    seed: int = 0,
    ward_rows: int = 5_000,
    mixture_rows: int = 100_000,
) -> np.ndarray:
    """Cluster of each sample, from one start of one clusterer.

    Constant dimensions are dropped and the rest divided by one number, the root mean variance. Dimensions
    are not standardised one by one: that would raise the noise of a collapsed dimension to the height of
    the signal.

    - "gaussian_mixture": full covariances plus 1e-4 on the diagonal, started from k-means, fitted on at
      most `mixture_rows` random rows.
    - "kmeans": one k-means++ start.
    - "agglomerative": Ward linkage on at most `ward_rows` random rows (its memory grows as their square);
      the other rows get the cluster with the nearest mean.

    Args:
        content: (N, D).
        num_clusters: from 1 to the number of distinct rows.
        method: clusterer.
        seed: of the start and of the rows that a method sees.
        ward_rows, mixture_rows: see above.

    Returns:
        Clusters 0, ..., num_clusters - 1, (N,).

    Raises:
        ValueError: if the content is not finite, the method unknown or there are too few distinct rows.
    """
    content = as_codes(content, "content")
    _check_methods((method,))
    if num_clusters < 1:
        raise ValueError(f"num_clusters must be at least 1; got {num_clusters}.")
    if reason := _impossible(content, num_clusters):
        raise ValueError(f"content cannot be clustered: {reason}. Ask for fewer clusters.")
    codes = content[:, varying(content)]
    codes = (codes - codes.mean(axis=0)) / np.sqrt(codes.var(axis=0).mean())
    if method == "agglomerative":
        return _ward(codes, num_clusters, seed, ward_rows)
    if method == "kmeans":
        return KMeans(num_clusters, n_init=1, random_state=seed).fit_predict(codes)
    # with more threads the many small products of a mixture take four times as long
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        # a run stopped at max_iter is one more clustering to average over
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(num_clusters, reg_covar=1e-4, max_iter=200, random_state=seed)
        rows = np.random.default_rng(seed).permutation(len(codes))[:mixture_rows]
        return mixture.fit(codes[np.sort(rows)]).predict(codes)


def content_clustering(
    content: ArrayLike,
    labels: ArrayLike,
    num_clusters: int | None = None,
    *,
    methods: Sequence[str] = METHODS,
    num_seeds: int = 10,
    groups: ArrayLike | None = None,
    preset: Literal["fast", "full"] = "fast",
    seed: int = 0,
) -> dict[str, Score]:
    """How well clusters found in the content agree with the classes, over seeds of the clusterer.

    Args:
        content: (N, D).
        labels: class of each sample, whole numbers (N,). They are used for scoring alone.
        num_clusters: the number of classes if None.
        methods: clusterers, see `cluster`.
        num_seeds: starts of each clusterer.
        groups: source of each sample, (N,), for the intervals.
        preset: Ward's method sees 2,000 rows in "fast" and 5,000 in "full", which also takes more
            resamples and shuffles.
        seed: the starts have seeds seed, seed + 1, ...

    Returns:
        `{method}/{measure}`: the mean over seeds, never the best, with the standard deviation over seeds
        in `std` and an interval over samples. Higher is better. Null if the content is constant, has
        fewer distinct rows than clusters, or there is only one class.

    Raises:
        ValueError: if the content is not finite, lengths differ, or a label is negative.
    """
    check_lengths(content=content, labels=labels, groups=groups)
    content, labels = as_codes(content, "content"), as_classes(labels)
    _check_methods(methods)
    effort = _preset(preset)
    if num_seeds < 1:
        raise ValueError(f"num_seeds must be at least 1; got {num_seeds}.")
    num_clusters = labels.max() + 1 if num_clusters is None else num_clusters
    reason = _impossible(content, num_clusters)
    rows = {"ward_rows": effort.ward_rows, "mixture_rows": effort.mixture_rows}
    scores = {}
    for method in methods:
        if reason:
            found = {name: Score.null(reason, n=len(labels), page=PAGE) for name in MEASURES}
        else:
            # Ward's method has no random start: on all rows, every seed gives the same clusters
            fixed = method == "agglomerative" and len(content) <= effort.ward_rows
            runs = [
                cluster(content, num_clusters, method, seed=seed + s, **rows)
                for s in range(1 if fixed else num_seeds)
            ]
            found = _scores(np.stack(runs), labels, groups, preset, seed, num_clusters)
        scores |= {f"{method}/{name}": score for name, score in found.items()}
    return scores


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


def _scores(runs, labels, groups, preset, seed, num_clusters=None) -> dict[str, Score]:
    """Scores of runs of clusters (S, N): means over runs, intervals over rows, floors over shuffles."""
    _, _, resamples, shuffles = _preset(preset)
    n, shape = len(labels), (int(runs.max()) + 1, int(labels.max()) + 1)
    if shape[1] < 2:
        return {name: Score.null("there is only one class", n=n, page=PAGE) for name in MEASURES}
    clusters = shape[0] if num_clusters is None else num_clusters
    generator = np.random.default_rng(seed)
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

        def score(table, run, name=name, measure=measure):
            return measure(table, expected[run]) if name == "ami" else measure(table)

        def mean_over_runs(rows, score=score):
            drawn = labels[rows]
            tables = (contingency(run[rows], drawn, shape) for run in runs)
            return np.mean([score(table, s) for s, table in enumerate(tables)])

        values = [score(table, s) for s, table in enumerate(tables)]
        chance = [score(table, s % len(runs)) for s, table in enumerate(shuffled)]
        matched = name in ("accuracy", "purity")  # fewer clusters than classes cannot name them all
        complete = 1.0 if clusters >= shape[1] else None
        scores[name] = Score(
            np.mean(values),
            n=n,
            floor=float(np.mean(chance)),
            ceiling=float(largest[:clusters].sum() / n) if matched else complete,
            interval=bootstrap(mean_over_runs, n, groups=groups, resamples=resamples, seed=seed),
            std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            page=PAGE,
        )
    return scores


def _information(table: np.ndarray) -> tuple[float, float]:
    """I(c; k) and the mean of H(c) and H(k), nats."""
    p = table / table.sum()
    clusters, classes = entr(p.sum(axis=1)).sum(), entr(p.sum(axis=0)).sum()
    information = max(clusters + classes - entr(p).sum(), 0.0)
    return float(information), float(clusters + classes) / 2


def _pairs(count: np.ndarray) -> np.ndarray:
    count = np.asarray(count, dtype=float)
    return count * (count - 1) / 2


def _ward(codes: np.ndarray, num_clusters: int, seed: int, ward_rows: int) -> np.ndarray:
    rows = np.arange(len(codes))
    if len(rows) > ward_rows:
        rows = np.random.default_rng(seed).choice(rows, ward_rows, replace=False)
    found = AgglomerativeClustering(num_clusters).fit_predict(codes[rows])
    if len(rows) == len(codes) or num_clusters == 1:
        return found if len(rows) == len(codes) else np.zeros(len(codes), dtype=int)
    assigned = NearestCentroid().fit(codes[rows], found).predict(codes)
    assigned[rows] = found
    return assigned


def varying(content: np.ndarray) -> np.ndarray:
    """Dimensions that are more than rounding."""
    return np.ptp(content, axis=0) > 1e-12 * np.maximum(1, np.abs(content).max(axis=0))


def _impossible(content: np.ndarray, num_clusters: int) -> str:
    """Why this content cannot have so many clusters; empty if it can."""
    if len(content) < num_clusters:
        return f"{len(content)} samples are fewer than {num_clusters} clusters"
    if not varying(content).any():
        return "all dimensions of the content are constant"
    distinct = len(np.unique(content, axis=0))
    if distinct < num_clusters:
        return f"{distinct} distinct rows are fewer than {num_clusters} clusters"
    return ""


def _check_methods(methods: Sequence[str]) -> None:
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")


def _preset(preset: str) -> Effort:
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}.")
    return PRESETS[preset]
