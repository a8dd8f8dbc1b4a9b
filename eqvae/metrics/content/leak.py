"""Does the content code give the pose away?

Content c(x) of a perfect model is invariant, c(g x) = c(x), and says nothing about g. Probes predict the pose
from the content; their held-out R^2 stands beside that of shuffled poses, which says what no leak at all
would read. A content that is the same for every image leaks nothing either, so it gets no score (null).

    R^2 = 1 - sum |y - y_hat|^2 / sum |y - y_bar|^2,      y_bar the mean of the training rows

y is (cos l theta, sin l theta) for each frequency l, the position (x, y), or the log-scale. A content that
changes with theta but not under 180 degrees leaks nothing at l = 1, and what the pixel grid leaves in a
network that is exact for quarter turns shows at l = 4. A third of the rows (of the sources, with groups) is
held out.

Probes, on standardised content: ridge regression with its penalty chosen on the training rows ("linear"),
10 nearest neighbours ("knn"), and gradient-boosted trees, 50 of 8 leaves ("gbt"). Where poses are distributed
differently for each class, content that knows only the class predicts the pose: give the classes. Each class
then has probes of its own, R^2 counts from the mean pose of the class, and poses are shuffled within it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import as_array, as_classes, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import angle_of, has_scale, log_scale_of, shift_of

PROBES = ("linear", "knn", "gbt")
# (rows that the probes see, shuffled controls)
PRESETS = {"fast": (4_000, 4), "full": (20_000, 10)}
FEWEST = 50
_KNOWN = {"better": "lower", "ceiling": 0.0, "page": "pose-leak"}

_UNASKED = "no frequency was asked for"


def pose_leak(
    content: ArrayLike,
    pose: ArrayLike,
    *,
    probes: Sequence[str] = PROBES,
    frequencies: Sequence[int] = (1, 2, 4),
    classes: ArrayLike | None = None,
    preset: Literal["fast", "full"] = "fast",
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How well angle and position are predicted from the content, on held-out images.

    Args:
        content: (N, D).
        pose: motions [reflection, angle, x, y], (N, 4), radians and pixels, or (N, 5) with log-scales;
            columns of NaN are unknown.
        probes: any of "linear", "knn", "gbt".
        frequencies: l >= 1 of the angle.
        classes: (N,); with them probes, mean poses and shuffles are those of each class.
        preset: "fast" uses up to 4,000 random rows and 4 shuffles, "full" 20,000 and 10.
        **draws: see `Draws`; the seed also grows the trees.

    Returns:
        R^2 under "angle/{probe}" (l = 1), "angle_{l}/{probe}", "position/{probe}" and, of poses with a
        scale, "scale/{probe}"; 0 is perfect, 1 is a complete leak, and floor is the mean over shuffled poses,
        below 0 for "knn" and "gbt". "angle/best", "position/best" and "scale/best" are the largest
        R^2 - floor over probes and frequencies, which is never quite 0: their floor is the mean of the same
        maximum for shuffled poses and std its spread.
        Null where the pose is unknown or does not vary, the content is constant, or with under 50 rows.

    Raises:
        ValueError: if content, or only a part of a column of pose, is NaN or infinite; if lengths differ
            or a probe, preset or frequency is not known.
    """
    resampling = Resampling.of(draws)
    check_lengths(content=content, pose=pose, groups=resampling.groups, classes=classes)
    content = as_codes(content, "content")
    _check_choices("probes", probes, PROBES)
    _check_choices("preset", (preset,), PRESETS)
    targets = _targets(pose, frequencies)
    limit, shuffles = PRESETS[preset]
    rows = np.sort(resampling.generator().permutation(len(content))[:limit])
    resampling, split = _split_rows(rows, classes, len(content), resampling)
    scores, reasons = {}, {}
    found = {"angle": [], "position": []} | {name.split("_")[0]: [] for name in targets}
    for name, y in targets.items():
        part = name.split("_")[0]
        y = None if y is None else y[rows]
        reasons[part] = reason = _missing(content[rows], y, part, split)
        for probe in probes:
            if reason:
                scores[f"{name}/{probe}"] = _null(reason, len(rows))
                continue
            score, chance = _held_out(content[rows], y, split, probe, shuffles, resampling)
            scores[f"{name}/{probe}"] = score
            found[part].append((score, chance))
    return scores | {
        f"{part}/best": _best(scored) if scored else _null(reasons.get(part, _UNASKED), len(rows))
        for part, scored in found.items()
    }


def _split_rows(
    rows: np.ndarray, classes: ArrayLike | None, count: int, resampling: Resampling
) -> tuple[Resampling, list[tuple[np.ndarray, np.ndarray]]]:
    """Draws and the split of some of `count` images, no source on both sides."""
    strata = np.zeros(count, int) if classes is None else as_classes(classes, "classes")
    sources = rows if resampling.groups is None else np.asarray(resampling.groups)[rows]
    resampling = replace(resampling, groups=sources)
    return resampling, _split_by_stratum(sources, strata[rows], resampling.seed)


def _targets(pose: ArrayLike, frequencies: Sequence[int]) -> dict[str, np.ndarray | None]:
    """What the probes predict, (N, 2) each, of scales (N, 1); None where the pose is unknown throughout."""
    if any(k != int(k) or k < 1 for k in frequencies):
        raise ValueError(f"frequencies must be whole numbers from 1; got {tuple(frequencies)}.")
    pose = pose.detach().cpu().numpy() if torch.is_tensor(pose) else np.asarray(pose, dtype=float)
    if pose.ndim != 2 or pose.shape[1] not in (4, 5):
        raise ValueError(
            f"pose must be motions [reflection, angle, x, y], shape (N, 4), or (N, 5) with log-scales; got "
            f"{pose.shape}."
        )
    angle, position = angle_of(pose), shift_of(pose)
    targets = {}
    for frequency in frequencies:
        name = "angle" if frequency == 1 else f"angle_{frequency}"
        targets[name] = None
        if not np.isnan(angle).all():
            turned = frequency * as_array(angle, "pose angle", 1)
            targets[name] = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    unknown = np.isnan(position).all()
    targets["position"] = None if unknown else as_array(position, "pose position", 2)
    if has_scale(pose):
        size = log_scale_of(pose)
        unknown = np.isnan(size).all()
        targets["scale"] = None if unknown else as_array(size, "pose scale", 1)[:, None]
    return targets


def _split_by_stratum(sources, strata, seed) -> list[tuple[np.ndarray, np.ndarray]]:
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


def _missing(content, y, part, parts) -> str:
    """Why there is no score; empty if there is one."""
    if y is None:
        return "the pose is unknown"
    if not parts:
        return f"no probe has {FEWEST} rows from 4 sources"
    if not varying(content).any():
        return "the content is constant"
    if all(np.var(y[np.concatenate(rows)], axis=0).sum() < 1e-12 for rows in parts):
        return f"the {part} does not vary"
    return ""


def _null(reason: str, n: int) -> Score:
    return Score.null(reason, n=n, **_KNOWN)


def _held_out(
    content, y, parts, probe, shuffles: int, resampling: Resampling
) -> tuple[Score, np.ndarray]:
    """R^2 on the test rows, and the R^2 of each shuffle of the poses, (shuffles,)."""
    generator = resampling.generator()  # the same shuffles for every probe and target
    residual, total = [], []
    for train, test in parts:
        rows = np.concatenate([train, test])
        shuffled = (generator.permutation(y[rows]) for _ in range(shuffles))
        copies = np.stack([y[rows], *shuffled], axis=1)
        fitted, held = copies[: len(train)], copies[len(train) :]  # (n, 1 + shuffles, 2)
        scale = StandardScaler().fit(content[train])
        inputs = scale.transform(content[train]), scale.transform(content[test])
        predicted = _predict(probe, inputs, fitted.reshape(len(train), -1), resampling.seed)
        residual.append(((held - predicted.reshape(held.shape)) ** 2).sum(axis=2))
        total.append(((held - fitted.mean(axis=0)) ** 2).sum(axis=2))
    residual, total = np.concatenate(residual), np.concatenate(total)
    r2 = 1 - residual.sum(axis=0) / total.sum(axis=0)
    score = Score.of_ratio(
        total[:, 0] - residual[:, 0],
        total[:, 0],
        resampling.of_rows(np.concatenate([test for _, test in parts])),
        floor=r2[1:].mean(),
        **_KNOWN,
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
        floor=excess.max(axis=0).mean(),
        interval=(low - winner.floor, high - winner.floor),
        std=float(excess.max(axis=0).std(ddof=1)),
        **_KNOWN,
    )


def _check_choices(name: str, chosen: Sequence[str], known) -> None:
    for choice in chosen:
        if choice not in known:
            raise ValueError(f"{name} must be from {', '.join(known)}; got {choice!r}.")
