"""Does the content code hold content alone?

Content c(x) of a perfect model is invariant, c(g x) = c(x). Three questions ask how far that is true:

    pose leak            held-out R^2 of probes that predict the pose from the content; shuffled poses
                         say what no leak at all would read
    content invariance   |c(g x) - c(x)| against the spread of the content over images, and whether
                         c(g x) is still nearest to c(x) among all images
    cluster change       how often the cluster of an image changes when the image moves

A content that is the same for every image would pass each of them, so it gets no score (null).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.clustering import varying
from eqvae.metrics.inputs import as_array, as_classes, as_codes, check_lengths
from eqvae.metrics.score import Score, mean_interval

PROBES = ("linear", "knn", "gbt")
# (rows that the probes see, shuffled controls)
PRESETS = {"fast": (4_000, 4), "full": (20_000, 10)}
FEWEST = 50


def pose_leak(
    content: ArrayLike,
    pose: ArrayLike,
    *,
    probes: Sequence[str] = PROBES,
    frequencies: Sequence[int] = (1, 2, 4),
    groups: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    preset: Literal["fast", "full"] = "fast",
    seed: int = 0,
) -> dict[str, Score]:
    """How well angle and position are predicted from the content, on held-out images.

        R^2 = 1 - sum |y - y_hat|^2 / sum |y - y_bar|^2,      y_bar the mean of the training rows

    y is (cos l theta, sin l theta) for each frequency l, or the position (x, y). A content that changes
    with theta but not under 180 degrees leaks nothing at l = 1, and what the pixel grid leaves in a network
    that is exact for quarter turns shows at l = 4. A third of the rows (of the sources, with groups) is
    held out.

    Probes, on standardised content: ridge regression with its penalty chosen on the training rows
    ("linear"), 10 nearest neighbours ("knn"), and gradient-boosted trees, 50 of 8 leaves ("gbt").

    Args:
        content: (N, D).
        pose: motions [reflection, angle, x, y], (N, 4), radians and pixels; columns of NaN are unknown.
        probes: any of "linear", "knn", "gbt".
        frequencies: l >= 1 of the angle.
        groups: source of each row, (N,); no source is in training and test.
        classes: (N,). Where poses are distributed differently for each class, content that knows only the
            class predicts the pose. With classes, each class has probes of its own, R^2 counts from the
            mean pose of the class, and poses are shuffled within it.
        preset: "fast" uses up to 4,000 random rows and 4 shuffles, "full" 20,000 and 10.
        seed: of rows, split, shuffles and trees.

    Returns:
        R^2 under "angle/{probe}" (l = 1), "angle_{l}/{probe}", "position/{probe}"; 0 is perfect, 1 is a
        complete leak, and floor is the mean over shuffled poses, below 0 for "knn" and "gbt".
        "angle/best" and "position/best" are the largest R^2 - floor over probes and frequencies, which is
        never quite 0: their floor is the mean of the same maximum for shuffled poses and std its spread.
        Null where the pose is unknown or does not vary, the content is constant, or with under 50 rows.

    Raises:
        ValueError: if content, or only a part of a column of pose, is NaN or infinite; if lengths differ
            or a probe, preset or frequency is not known.
    """
    check_lengths(content=content, pose=pose, groups=groups, classes=classes)
    content = as_codes(content, "content")
    _check_choices("probes", probes, PROBES)
    _check_choices("preset", (preset,), PRESETS)
    if any(k != int(k) or k < 1 for k in frequencies):
        raise ValueError(f"frequencies must be whole numbers from 1; got {tuple(frequencies)}.")
    targets = _targets(pose, frequencies)
    limit, shuffles = PRESETS[preset]
    rows = np.sort(np.random.default_rng(seed).permutation(len(content))[:limit])
    content = content[rows]
    sources = rows if groups is None else np.asarray(groups)[rows]
    strata = np.zeros(len(rows), int) if classes is None else as_classes(classes, "classes")[rows]
    parts = _strata(sources, strata, seed)

    scores = {}
    for part in ("angle", "position"):
        found, names = [], [name for name in targets if name.split("_")[0] == part]
        for name in names:
            y = None if targets[name] is None else targets[name][rows]
            reason = _no_leak_because(content, y, part, parts)
            for probe in probes:
                if reason:
                    scores[f"{name}/{probe}"] = _null_leak(reason, len(rows))
                    continue
                score, chance = _held_out(content, y, sources, parts, probe, shuffles, seed)
                scores[f"{name}/{probe}"] = score
                found.append((score, chance))
        scores[f"{part}/best"] = _best(found) if found else _null_leak(reason, len(rows))
    return scores


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


def _targets(pose: ArrayLike, frequencies: Sequence[int]) -> dict[str, np.ndarray | None]:
    """What the probes predict, (N, 2) each; None where the pose is unknown throughout."""
    pose = pose.detach().cpu().numpy() if torch.is_tensor(pose) else np.asarray(pose, dtype=float)
    if pose.ndim != 2 or pose.shape[1] != 4:
        raise ValueError(
            f"pose must be motions [reflection, angle, x, y], shape (N, 4); got {pose.shape}."
        )
    angle, position = pose[:, 1], pose[:, 2:]
    targets = {}
    for frequency in frequencies:
        name = "angle" if frequency == 1 else f"angle_{frequency}"
        targets[name] = None
        if not np.isnan(angle).all():
            turned = frequency * as_array(angle, "pose angle", 1)
            targets[name] = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    unknown = np.isnan(position).all()
    targets["position"] = None if unknown else as_array(position, "pose position", 2)
    return targets


def _strata(sources, strata, seed) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each stratum that is large enough to have both."""
    parts = []
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        if len(inside) < FEWEST or len(np.unique(sources[inside])) < 4:  # two held out
            continue
        splits = GroupShuffleSplit(1, test_size=1 / 3, random_state=seed)
        train, test = next(splits.split(inside, groups=sources[inside]))
        parts.append((inside[train], inside[test]))
    return parts


def _no_leak_because(content, y, part, parts) -> str:
    if y is None:
        return "the pose is unknown"
    if not parts:
        return f"no probe has {FEWEST} rows from 4 sources"
    if not varying(content).any():
        return "the content is constant"
    if all(np.var(y[np.concatenate(rows)], axis=0).sum() < 1e-12 for rows in parts):
        return f"the {part} does not vary"
    return ""


def _null_leak(reason: str, n: int) -> Score:
    return Score.null(reason, n=n, better="lower", ceiling=0.0, page="pose-leak")


def _held_out(content, y, sources, parts, probe, shuffles, seed) -> tuple[Score, np.ndarray]:
    """R^2 on the test rows, and the R^2 of each shuffle of the poses, (shuffles,)."""
    generator = np.random.default_rng(seed)  # the same shuffles for every probe and target
    residual, total = [], []
    for train, test in parts:
        rows = np.concatenate([train, test])
        copies = np.stack(
            [y[rows], *(generator.permutation(y[rows]) for _ in range(shuffles))], axis=1
        )
        fitted, held = copies[: len(train)], copies[len(train) :]  # (n, 1 + shuffles, 2)
        scale = StandardScaler().fit(content[train])
        inputs = scale.transform(content[train]), scale.transform(content[test])
        predicted = _predict(probe, inputs, fitted.reshape(len(train), -1), seed).reshape(
            held.shape
        )
        residual.append(((held - predicted) ** 2).sum(axis=2))
        total.append(((held - fitted.mean(axis=0)) ** 2).sum(axis=2))
    residual, total = np.concatenate(residual), np.concatenate(total)
    r2 = 1 - residual.sum(axis=0) / total.sum(axis=0)
    held_out = sources[np.concatenate([test for _, test in parts])]
    score = Score(
        r2[0],
        n=len(total),
        better="lower",
        floor=float(r2[1:].mean()),
        ceiling=0.0,
        interval=mean_interval(
            total[:, 0] - residual[:, 0], total[:, 0], groups=held_out, seed=seed
        ),
        page="pose-leak",
    )
    return score, r2[1:]


def _predict(probe, inputs, y, seed) -> np.ndarray:
    """Predictions of y (n, T) on the test inputs by a probe fitted on the training inputs."""
    train, test = inputs
    if probe == "linear":
        return RidgeCV(np.logspace(-2, 4, 7), alpha_per_target=True).fit(train, y).predict(test)
    if probe == "knn":
        return KNeighborsRegressor(min(10, len(train))).fit(train, y).predict(test)
    trees = HistGradientBoostingRegressor(
        max_iter=50, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    return np.stack([trees.fit(train, column).predict(test) for column in y.T], axis=1)


def _best(found: list[tuple[Score, np.ndarray]]) -> Score:
    """The largest R^2 above its shuffles, against the same maximum for each shuffle."""
    winner = max((score for score, _ in found), key=lambda score: score.value - score.floor)
    chance = np.stack([chance for _, chance in found])  # (probes x frequencies, shuffles)
    # each shuffle against the mean of the others, as the true poses are against all of them
    excess = (chance - chance.mean(axis=1, keepdims=True)) * chance.shape[1] / (chance.shape[1] - 1)
    low, high = winner.interval
    return Score(
        winner.value - winner.floor,
        n=winner.n,
        better="lower",
        floor=float(excess.max(axis=0).mean()),
        ceiling=0.0,
        interval=(low - winner.floor, high - winner.floor),
        std=float(excess.max(axis=0).std(ddof=1)),
        page="pose-leak",
    )


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


def _check_choices(name: str, chosen: Sequence[str], known) -> None:
    for choice in chosen:
        if choice not in known:
            raise ValueError(f"{name} must be from {', '.join(known)}; got {choice!r}.")
