"""What the content code knows and how many of its dimensions it uses.

    probe accuracy    held-out accuracy of a simple classifier that sees the content alone
    effective rank    exp(H(p)),  p_k = sigma_k / sum sigma,  sigma_k the singular values of the codes

References: Alain, Bengio, Understanding intermediate layers using linear classifier probes (2016); Roy,
Vetterli, The effective rank (EUSIPCO 2007); Garrido et al., RankMe (ICML 2023). RankMe does not centre.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import as_classes, as_codes, check_lengths
from eqvae.metrics.score import Score, bootstrap, mean_interval

PROBES = ("linear", "knn")
# rows that the probes see
PRESETS = {"fast": 5_000, "full": 20_000}


def probe_accuracy(
    content: ArrayLike,
    labels: ArrayLike,
    *,
    probes: Sequence[str] = PROBES,
    groups: ArrayLike | None = None,
    folds: int = 5,
    preset: Literal["fast", "full"] = "fast",
    seed: int = 0,
) -> dict[str, Score]:
    """Held-out accuracy of classifiers of the content, each row scored once by cross-validation.

    On standardised content: logistic regression with unit penalty ("linear") and 5 nearest neighbours
    ("knn").

    Args:
        content: (N, D).
        labels: class of each row, whole numbers (N,).
        probes: any of "linear", "knn".
        groups: source of each row, (N,); rows of one source are never in training and test.
        folds: of the cross-validation, at least 2.
        preset: "fast" uses up to 5,000 random rows, "full" 20,000.
        seed: of rows and folds.

    Returns:
        Accuracy by probe; higher is better, 1 is perfect, the floor is the share of the commonest class.
        Null with one class, constant content, or fewer sources than folds.

    Raises:
        ValueError: if the content is not finite, lengths differ, a label is negative, or a probe or
            preset is not known.
    """
    check_lengths(content=content, labels=labels, groups=groups)
    content, labels = as_codes(content, "content"), as_classes(labels)
    for name, chosen, known in (("probes", probes, PROBES), ("preset", (preset,), PRESETS)):
        if not set(chosen) <= set(known):
            raise ValueError(f"{name} must be from {', '.join(known)}; got {', '.join(chosen)}.")
    if folds < 2:
        raise ValueError(f"folds must be at least 2; got {folds}.")
    rows = np.sort(np.random.default_rng(seed).permutation(len(content))[: PRESETS[preset]])
    content, labels = content[rows], labels[rows]
    sources = rows if groups is None else np.unique(groups, return_inverse=True)[1][rows]
    n, num_sources = len(rows), len(np.unique(sources))
    reason = ""
    if len(np.unique(labels)) < 2:
        reason = "there is only one class"
    elif not varying(content).any():
        reason = "the content is constant"
    elif num_sources < max(folds, 10):
        reason = f"{num_sources} sources are too few for {folds} folds"
    if reason:
        return {probe: Score.null(reason, n=n, page="probe-accuracy") for probe in probes}

    if groups is None:
        splits = list(KFold(folds, shuffle=True, random_state=seed).split(content))
    else:
        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        splits = list(splitter.split(content, groups=sources))
    majority = float(np.bincount(labels).max() / n)
    scores = {}
    for probe in probes:
        correct = np.empty(n)
        for train, test in splits:
            correct[test] = (
                _predict(probe, content[train], labels[train], content[test]) == labels[test]
            )
        scores[probe] = Score(
            correct.mean(),
            n=n,
            floor=majority,
            ceiling=1.0,
            interval=mean_interval(correct, groups=sources, seed=seed),
            page="probe-accuracy",
        )
    return scores


def effective_rank(
    codes: ArrayLike,
    *,
    centred: bool = True,
    groups: ArrayLike | None = None,
    limit: int = 5_000,
    seed: int = 0,
) -> dict[str, Score]:
    """How many dimensions the codes fill: exp of the entropy of their normalised singular values.

    Args:
        codes: (N, D).
        centred: subtract the mean first; the published RankMe does not, and counts a mean far from zero
            as one more dimension.
        groups: source of each row, (N,), for the interval.
        limit: at most so many random rows.
        seed: of rows and interval.

    Returns:
        "effective_rank", from 1 (a line) to min(N, D) (singular values all equal). Null for constant codes
        and for a single row.

    Raises:
        ValueError: if codes are not finite or lengths differ.
    """
    check_lengths(codes=codes, groups=groups)
    codes = as_codes(codes)
    rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:limit])
    codes = codes[rows]
    n, dim = codes.shape
    if n < 2 or not varying(codes).any():
        reason = "a single row has no spread" if n < 2 else "the codes are constant"
        return {"effective_rank": Score.null(reason, n=n, page="effective-rank")}

    def rank(drawn: np.ndarray) -> float:
        drawn = codes[drawn]
        drawn = drawn - drawn.mean(axis=0) if centred else drawn
        # singular values through the smaller Gram matrix: D x D for long tables of codes
        gram = drawn.T @ drawn if dim <= n else drawn @ drawn.T
        sigma = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
        return float(np.exp(entr(sigma / sigma.sum()).sum())) if sigma.any() else float("nan")

    score = Score(
        rank(np.arange(n)),
        n=n,
        floor=1.0,
        ceiling=float(min(dim, n - 1 if centred else n)),
        interval=bootstrap(
            rank,
            n,
            groups=None if groups is None else np.asarray(groups)[rows],
            resamples=50,
            seed=seed,
        ),
        page="effective-rank",
    )
    return {"effective_rank": score}


def _predict(probe, train, labels, test) -> np.ndarray:
    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels[0])
    if probe == "linear":
        classifier = LogisticRegression(max_iter=1000)
    else:
        classifier = KNeighborsClassifier(min(5, len(train)))
    return make_pipeline(StandardScaler(), classifier).fit(train, labels).predict(test)
