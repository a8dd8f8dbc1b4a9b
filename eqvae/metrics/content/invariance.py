"""Does the content code stay the same when the object moves?

    change           sqrt(mean |c(g x) - c(x)|^2) / sqrt(mean |c(x) - c_bar|^2)
    neighbour_ratio  mean |c(g x) - c(x)| / mean distance of c(x) to the nearest other image
    retrieval        share of (g, x) with c(g x) nearer to c(x) than to the content of any other image
    cluster_change   share of (g, x) whose cluster changes

A content that is the same for every image would pass, so it gets no score (null).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import as_array, as_classes, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

SCORES = ("change", "neighbour_ratio", "retrieval")


def content_invariance(
    content: ArrayLike,
    moved: ArrayLike,
    *,
    motions: Sequence[str] | None = None,
    gallery: int = 2_000,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How little the content changes when the image moves, relative to how it differs between images.

    Two images of the same content in different poses are rivals in the last two scores: a perfect model
    reads chance there. Give groups, and rows of one source are never compared.

    Args:
        content: of the images, (N, D).
        moved: content of M motions of each image, (M, N, D).
        motions: kind of each motion, such as "rotation", M names; adds keys `{score}/{kind}`.
        gallery: at most so many random images for the two scores that compare all pairs.
        **draws: see `Draws`.

    Returns:
        "change" and "neighbour_ratio" (lower is better, 0 perfect; chance is the content of a random other
        image), "retrieval" (higher is better; chance is one over the number of images compared).
        Null if the content does not differ between images.

    Raises:
        ValueError: if shapes differ or values are NaN or infinite.
    """
    resampling = Resampling.of(draws)
    content, moved = as_codes(content, "content"), as_array(moved, "moved", 3).astype(np.float64)
    if moved.shape[1:] != content.shape:
        raise ValueError(
            f"moved must be (M, N, D) with (N, D) = {content.shape} of content; got {moved.shape}."
        )
    n = check_lengths(content=content, groups=resampling.groups)
    kinds = _kinds(motions, len(moved))
    pick = np.sort(resampling.generator().permutation(n)[:gallery])
    compared = resampling.of_rows(pick)
    if reason := _missing(content, resampling.sources(n)[pick]):
        names = [_key(score, kind) for score in SCORES for kind in kinds]
        return Score.nulls(names, reason, n=n, page="content-invariance")
    spread = ((content - content.mean(axis=0)) ** 2).sum(axis=1)
    squared = ((moved - content) ** 2).sum(axis=2)  # (M, N)
    rivals = _Gallery.of(content[pick], moved[:, pick], resampling.sources(n)[pick])
    known = {"page": "content-invariance"}
    scores = {}
    for kind, which in kinds.items():
        scores[_key("change", kind)] = Score.of_root(
            squared[which].mean(axis=0),
            resampling,
            spread,
            better="lower",
            floor=np.sqrt(2 * n / (n - 1)),  # E |c_i - c_j|^2 over i != j
            ceiling=0.0,
            **known,
        )
        step = np.sqrt(squared[which][:, pick])
        scores[_key("neighbour_ratio", kind)] = rivals.neighbour_ratio(step, compared, known)
        scores[_key("retrieval", kind)] = rivals.retrieval(step, which, compared, known)
    return scores


def cluster_change(
    clusters: ArrayLike,
    moved: ArrayLike,
    *,
    motions: Sequence[str] | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How often the cluster of an image changes when the image moves.

    Args:
        clusters: of the images, whole numbers (N,).
        moved: clusters of M motions of each image, from the same clusterer, (M, N).
        motions: kind of each motion, M names; adds keys `cluster_change/{kind}`.
        **draws: see `Draws`.

    Returns:
        "cluster_change": share of (g, x) that changed; lower is better, 0 perfect. The floor is that of
        clusters drawn at random with the frequencies p_k of the images, 1 - sum p_k^2. Null if all images
        are in one cluster.

    Raises:
        ValueError: if shapes differ or a cluster is negative.
    """
    resampling = Resampling.of(draws)
    array = as_array(clusters, "clusters", 1)
    after = as_array(moved, "moved", 2)
    if after.shape[1:] != array.shape:
        raise ValueError(
            f"moved must be (M, N) with N = {len(array)} of clusters; got {after.shape}."
        )
    check_lengths(clusters=array, groups=resampling.groups)
    for values, name in ((array, "clusters"), (after.ravel(), "moved")):
        as_classes(values, name)
    kinds = _kinds(motions, len(after))
    n, counts = len(array), np.unique(array, return_counts=True)[1]
    known = {"n": n, "better": "lower", "page": "cluster-change"}
    if len(counts) < 2:
        reason = "all images are in one cluster, so none can change"
        return Score.nulls([_key("cluster_change", kind) for kind in kinds], reason, **known)
    known |= {"floor": 1 - ((counts / n) ** 2).sum(), "ceiling": 0.0}
    return {
        _key("cluster_change", kind): Score.of_mean(
            (after[which] != array).mean(axis=0), resampling, **known
        )
        for kind, which in kinds.items()
    }


def _missing(content: np.ndarray, sources: np.ndarray) -> str:
    """Why there is no score; empty if there is one."""
    if not varying(content).any():
        return "the content is the same for every image, so it cannot change"
    if len(np.unique(sources)) < 2:
        return "there is only one source of images to compare with"
    return ""


@dataclass(frozen=True)
class _Gallery:
    """Distances among images of different sources, rivals.

    Attributes:
        others: whether two images are rivals, (P, P).
        between: distances of their contents, (P, P).
        moved: distance of each moved content to the nearest rival's, (M, P).
    """

    others: np.ndarray
    between: np.ndarray
    moved: np.ndarray

    @classmethod
    def of(cls, content: np.ndarray, moved: np.ndarray, sources: np.ndarray) -> "_Gallery":
        others = sources[:, None] != sources[None]
        nearest = [np.where(others, cdist(m, content), np.inf).min(axis=1) for m in moved]
        return cls(others, cdist(content, content), np.stack(nearest))

    def neighbour_ratio(self, step: np.ndarray, resampling: Resampling, known: dict) -> Score:
        """Steps |c(g x) - c(x)|, (M', P), over the distance to the nearest rival."""
        nearest = np.where(self.others, self.between, np.inf).min(axis=1)
        if nearest.sum() <= 0:
            same = "every image has a rival of the same content; give groups"
            return Score.null(same, n=len(nearest), **known)
        floor = self.between[self.others].mean() / nearest.mean()
        known = {"better": "lower", "floor": floor, "ceiling": 0.0, **known}
        return Score.of_ratio(step.mean(axis=0), nearest, resampling, **known)

    def retrieval(
        self, step: np.ndarray, which: np.ndarray, resampling: Resampling, known: dict
    ) -> Score:
        """How often the motions `which`, with their steps (M', P), leave an image nearest to itself."""
        won = (step < self.moved[which]).mean(axis=0)
        floor = (1 / (1 + self.others.sum(axis=1))).mean()
        return Score.of_mean(won, resampling, floor=floor, ceiling=1.0, **known)


def _kinds(motions: Sequence[str] | None, m: int) -> dict[str, np.ndarray]:
    """Rows of motions of each kind; "" is all of them."""
    if motions is None:
        return {"": np.arange(m)}
    if len(motions) != m:
        raise ValueError(
            f"motions must name the kind of each of the {m} motions; got {len(motions)}."
        )
    names = np.asarray(list(motions), dtype=str)
    return {"": np.arange(m)} | {
        kind: np.flatnonzero(names == kind) for kind in dict.fromkeys(motions)
    }


def _key(score: str, kind: str) -> str:
    return f"{score}/{kind}" if kind else score
