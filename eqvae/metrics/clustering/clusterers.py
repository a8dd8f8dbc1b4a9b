"""Clusters found in a content code, scored over seeds of the clusterer: never the best of them."""

import warnings
from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits

from eqvae.metrics.clustering.partitions import MEASURES, PAGE, effort_of, scores_of_runs
from eqvae.metrics.inputs import as_classes, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

METHODS = ("gaussian_mixture", "kmeans", "agglomerative")


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
    return fit_mixture(codes, num_clusters, seed, mixture_rows).predict(codes)


def fit_mixture(
    codes: np.ndarray, num_clusters: int, seed: int = 0, rows: int = 100_000
) -> GaussianMixture:
    """The mixture of `cluster`, fitted on at most `rows` random rows of codes of about unit variance."""
    # with more threads the many small products of a mixture take four times as long
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        # a run stopped at max_iter is one more clustering to average over
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(num_clusters, reg_covar=1e-4, max_iter=200, random_state=seed)
        seen = np.random.default_rng(seed).permutation(len(codes))[:rows]
        return mixture.fit(codes[np.sort(seen)])


def content_clustering(
    content: ArrayLike,
    labels: ArrayLike,
    num_clusters: int | None = None,
    *,
    methods: Sequence[str] = METHODS,
    num_seeds: int = 10,
    preset: Literal["fast", "full"] = "fast",
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How well clusters found in the content agree with the classes, over seeds of the clusterer.

    Args:
        content: (N, D).
        labels: class of each sample, whole numbers (N,). They are used for scoring alone.
        num_clusters: the number of classes if None.
        methods: clusterers, see `cluster`.
        num_seeds: starts of each clusterer.
        preset: Ward's method sees 2,000 rows in "fast" and 5,000 in "full", which also takes more
            resamples and shuffles.
        **draws: see `Draws`; the starts have seeds seed, seed + 1, ...

    Returns:
        `{method}/{measure}`: the mean over seeds, never the best, with the standard deviation over seeds
        in `std` and an interval over samples. Higher is better. Null if the content is constant, has
        fewer distinct rows than clusters, or there is only one class.

    Raises:
        ValueError: if the content is not finite, lengths differ, or a label is negative.
    """
    effort = effort_of(preset)
    resampling = Resampling.of(draws, effort.resamples)
    check_lengths(content=content, labels=labels, groups=resampling.groups)
    content, labels = as_codes(content, "content"), as_classes(labels)
    _check_methods(methods)
    if num_seeds < 1:
        raise ValueError(f"num_seeds must be at least 1; got {num_seeds}.")
    num_clusters = labels.max() + 1 if num_clusters is None else num_clusters
    reason = _impossible(content, num_clusters)
    rows = {"ward_rows": effort.ward_rows, "mixture_rows": effort.mixture_rows}
    scores = {}
    for method in methods:
        if reason:
            found = Score.nulls(MEASURES, reason, n=len(labels), page=PAGE)
        else:
            # Ward's method has no random start: on all rows, every seed gives the same clusters
            fixed = method == "agglomerative" and len(content) <= effort.ward_rows
            runs = [
                cluster(content, num_clusters, method, seed=resampling.seed + s, **rows)
                for s in range(1 if fixed else num_seeds)
            ]
            runs = np.stack(runs)
            found = scores_of_runs(runs, labels, effort.shuffles, resampling, num_clusters)
        scores |= {f"{method}/{name}": score for name, score in found.items()}
    return scores


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
