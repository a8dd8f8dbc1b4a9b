"""Does the content code stay the same when the object moves?

    content invariance   |c(g x) - c(x)| against the spread of the content over images, and whether
                         c(g x) is still nearest to c(x) among all images
    cluster change       how often the cluster of an image changes when the image moves

A content that is the same for every image would pass, so it gets no score (null).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import as_array, as_classes, as_codes, check_lengths
from eqvae.metrics.score import Score, mean_interval


def content_invariance(
    content: ArrayLike,
    moved: ArrayLike,
    *,
    motions: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    gallery: int = 2_000,
    seed: int = 0,
) -> dict[str, Score]:
    """How little the content changes when the image moves, relative to how it differs between images.

        change           sqrt(mean |c(g x) - c(x)|^2) / sqrt(mean |c(x) - c_bar|^2)
        neighbour_ratio  mean |c(g x) - c(x)| / mean distance of c(x) to the nearest other image
        retrieval        share of (g, x) with c(g x) nearer to c(x) than to the content of any other image

    Two images of the same content in different poses are rivals in the last two: a perfect model reads
    chance there. Give groups, and rows of one source are never compared.

    Args:
        content: of the images, (N, D).
        moved: content of M motions of each image, (M, N, D).
        motions: kind of each motion, such as "rotation", M names; adds keys `{score}/{kind}`.
        groups: source of each image, (N,).
        gallery: at most so many random images for the two scores that compare all pairs.
        seed: of the gallery and the intervals.

    Returns:
        "change" and "neighbour_ratio" (lower is better, 0 perfect; chance is the content of a random other
        image), "retrieval" (higher is better; chance is one over the number of images compared).
        Null if the content does not differ between images.

    Raises:
        ValueError: if shapes differ or values are NaN or infinite.
    """
    content, moved = as_codes(content, "content"), as_array(moved, "moved", 3).astype(np.float64)
    if moved.shape[1:] != content.shape:
        raise ValueError(
            f"moved must be (M, N, D) with (N, D) = {content.shape} of content; got {moved.shape}."
        )
    check_lengths(content=content, groups=groups)
    n = len(content)
    groups = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    kinds = _kinds(motions, len(moved))
    pick = np.sort(np.random.default_rng(seed).permutation(n)[:gallery])
    spread = ((content - content.mean(axis=0)) ** 2).sum(axis=1)
    keys = [_key(s, k) for s in ("change", "neighbour_ratio", "retrieval") for k in kinds]
    reason = ""
    if not varying(content).any():
        reason = "the content is the same for every image, so it cannot change"
    elif len(np.unique(groups[pick])) < 2:
        reason = "there is only one source of images to compare with"
    if reason:
        return {key: Score.null(reason, n=n, page="content-invariance") for key in keys}

    others = groups[pick][:, None] != groups[pick][None]  # pairs of images of different sources
    between = cdist(content[pick], content[pick])
    nearest = np.where(others, between, np.inf).min(axis=1)
    common = {"n": n, "page": "content-invariance"}
    compared = {"n": len(pick), "page": "content-invariance"}
    squared = ((moved - content) ** 2).sum(axis=2)  # (M, N)
    won = np.empty((len(moved), len(pick)))
    for m in range(len(moved)):
        rival = np.where(others, cdist(moved[m, pick], content[pick]), np.inf).min(axis=1)
        won[m] = np.sqrt(squared[m, pick]) < rival

    scores = {}
    for kind, which in kinds.items():
        change = squared[which].mean(axis=0)
        low_high = mean_interval(change, spread, groups=groups, seed=seed)
        scores[_key("change", kind)] = Score(
            np.sqrt(change.sum() / spread.sum()),
            better="lower",
            floor=float(np.sqrt(2 * n / (n - 1))),  # E |c_i - c_j|^2 over i != j
            ceiling=0.0,
            interval=low_high and tuple(np.sqrt(np.maximum(low_high, 0)).tolist()),
            **common,
        )
        step = np.sqrt(squared[which][:, pick]).mean(axis=0)
        if nearest.sum() > 0:
            scores[_key("neighbour_ratio", kind)] = Score(
                step.sum() / nearest.sum(),
                better="lower",
                floor=float(between[others].mean() / nearest.mean()),
                ceiling=0.0,
                interval=mean_interval(step, nearest, groups=groups[pick], seed=seed),
                **compared,
            )
        else:
            same = "every image has a rival of the same content; give groups"
            scores[_key("neighbour_ratio", kind)] = Score.null(same, **compared)
        kept = won[which].mean(axis=0)
        scores[_key("retrieval", kind)] = Score(
            kept.mean(),
            floor=float((1 / (1 + others.sum(axis=1))).mean()),
            ceiling=1.0,
            interval=mean_interval(kept, groups=groups[pick], seed=seed),
            **compared,
        )
    return scores


def cluster_change(
    clusters: ArrayLike,
    moved: ArrayLike,
    *,
    motions: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """How often the cluster of an image changes when the image moves.

    Args:
        clusters: of the images, whole numbers (N,).
        moved: clusters of M motions of each image, from the same clusterer, (M, N).
        motions: kind of each motion, M names; adds keys `cluster_change/{kind}`.
        groups: source of each image, (N,), for the intervals.
        seed: of the intervals.

    Returns:
        "cluster_change": share of (g, x) that changed; lower is better, 0 perfect. The floor is that of
        clusters drawn at random with the frequencies p_k of the images, 1 - sum p_k^2. Null if all images
        are in one cluster.

    Raises:
        ValueError: if shapes differ or a cluster is negative.
    """
    array = as_array(clusters, "clusters", 1)
    after = as_array(moved, "moved", 2)
    if after.shape[1:] != array.shape:
        raise ValueError(
            f"moved must be (M, N) with N = {len(array)} of clusters; got {after.shape}."
        )
    check_lengths(clusters=array, groups=groups)
    for values, name in ((array, "clusters"), (after.ravel(), "moved")):
        as_classes(values, name)
    kinds = _kinds(motions, len(after))
    n, counts = len(array), np.unique(array, return_counts=True)[1]
    keys = {kind: _key("cluster_change", kind) for kind in kinds}
    common = {"n": n, "better": "lower", "page": "cluster-change"}
    if len(counts) < 2:
        reason = "all images are in one cluster, so none can change"
        return {key: Score.null(reason, **common) for key in keys.values()}
    scores = {}
    for kind, which in kinds.items():
        changed = (after[which] != array).mean(axis=0)
        scores[keys[kind]] = Score(
            changed.mean(),
            floor=float(1 - ((counts / n) ** 2).sum()),
            ceiling=0.0,
            interval=mean_interval(changed, groups=groups, seed=seed),
            **common,
        )
    return scores


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
