"""What the content code knows: held-out accuracy of simple classifiers that see the content alone.

On standardised content: logistic regression with unit penalty ("linear") and 5 nearest neighbours ("knn"),
each row scored once by cross-validation.

Reference: Alain, Bengio, Understanding intermediate layers using linear classifier probes (2016).
"""

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import as_classes, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "probe-accuracy"
PROBES = ("linear", "knn")
# rows that the probes see
PRESETS = {"fast": 5_000, "full": 20_000}


def probe_accuracy(
    content: ArrayLike,
    labels: ArrayLike,
    *,
    probes: Sequence[str] = PROBES,
    folds: int = 5,
    preset: Literal["fast", "full"] = "fast",
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Held-out accuracy of classifiers of the content.

    Args:
        content: (N, D).
        labels: class of each row, whole numbers (N,).
        probes: any of "linear", "knn".
        folds: of the cross-validation, at least 2.
        preset: "fast" uses up to 5,000 random rows, "full" 20,000.
        **draws: see `Draws`.

    Returns:
        Accuracy by probe; higher is better, 1 is perfect, the floor is the share of the commonest class.
        Null with one class, constant content, or fewer sources than folds.

    Raises:
        ValueError: if the content is not finite, lengths differ, a label is negative, or a probe or
            preset is not known.
    """
    resampling = Resampling.of(draws)
    check_lengths(content=content, labels=labels, groups=resampling.groups)
    content, labels = as_codes(content, "content"), as_classes(labels)
    for name, chosen, known in (("probes", probes, PROBES), ("preset", (preset,), PRESETS)):
        if not set(chosen) <= set(known):
            raise ValueError(f"{name} must be from {', '.join(known)}; got {', '.join(chosen)}.")
    if folds < 2:
        raise ValueError(f"folds must be at least 2; got {folds}.")
    rows = np.sort(resampling.generator().permutation(len(content))[: PRESETS[preset]])
    content, labels, resampling = content[rows], labels[rows], resampling.of_rows(rows)
    n, sources = len(rows), resampling.sources(len(rows))
    if reason := _missing(content, labels, sources.max() + 1, folds):
        return Score.nulls(probes, reason, n=n, page=PAGE)
    if resampling.groups is None:
        splits = list(KFold(folds, shuffle=True, random_state=resampling.seed).split(content))
    else:
        splitter = GroupKFold(folds, shuffle=True, random_state=resampling.seed)
        splits = list(splitter.split(content, groups=sources))
    known = {"floor": np.bincount(labels).max() / n, "ceiling": 1.0, "page": PAGE}
    scores = {}
    for probe in probes:
        right = np.empty(n)
        for train, test in splits:
            predicted = _predict(probe, content[train], labels[train], content[test])
            right[test] = predicted == labels[test]
        scores[probe] = Score.of_mean(right, resampling, **known)
    return scores


def _missing(content: np.ndarray, labels: np.ndarray, num_sources: int, folds: int) -> str:
    """Why there is no score; empty if there is one."""
    if len(np.unique(labels)) < 2:
        return "there is only one class"
    if not varying(content).any():
        return "the content is constant"
    if num_sources < max(folds, 10):
        return f"{num_sources} sources are too few for {folds} folds"
    return ""


def _predict(probe, train, labels, test) -> np.ndarray:
    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels[0])
    if probe == "linear":
        classifier = LogisticRegression(max_iter=1000)
    else:
        classifier = KNeighborsClassifier(min(5, len(train)))
    return make_pipeline(StandardScaler(), classifier).fit(train, labels).predict(test)
