"""DCI: disentanglement, completeness and informativeness from the importance of codes for factors.

With R_bf >= 0 the importance of code b (a column or a block) when factor f is predicted from all codes,

    D = sum_b w_b (1 - H(R_b. / sum_f R_bf) / log F),     w_b = sum_f R_bf / sum R
    C = sum_f w_f (1 - H(R_.f / sum_b R_bf) / log B),     w_f = sum_b R_bf / sum R
    I = how well the factors are predicted on held-out samples: accuracy, or explained variance.

`dci` is the public protocol: gradient-boosted trees per column, importances by impurity, accuracy.
`block_dci` predicts by kernel ridge regression that is additive over blocks, f = sum_b f_b(z_b), with
Gaussian kernels on whitened blocks: it sees distances within a block only, so no basis change inside a
block moves it. R_bf is then the rise of the held-out squared error when block b is shuffled, halved, in
closed form:

    R_bf = Cov(v - f + f_b, f_b), as a share of the variance of v,

and 0 where that is under three times the largest that shuffled factors give (plus 0.005).

Reference: Eastwood, Williams, A framework for the quantitative evaluation of disentangled
representations (2018), https://openreview.net/forum?id=By-7dz-AZ. Weights of C by mass as in
disentanglement_lib; the paper averages C over factors.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve
from scipy.spatial.distance import cdist
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from eqvae.metrics.disentanglement.held_out import split_rows
from eqvae.metrics.disentanglement.information import class_factors, whiten
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Interval, Score, bootstrap

PAGE = "dci"
NAMES = ("disentanglement", "completeness", "informativeness")
RIDGES = (1e-3, 1e-1, 10.0)  # the best on a fifth of the training rows is taken


def disentanglement_completeness(importance: ArrayLike) -> tuple[float, float]:
    """D and C of an importance matrix.

    Codes without any importance weigh nothing; a matrix of zeros gives 0 and 0.

    Args:
        importance: (B, F), >= 0.

    Example:
        >>> disentanglement_completeness([[1, 0], [0, 1], [0, 0]])
        (1.0, 1.0)
    """
    importance = np.asarray(importance, dtype=float)
    return _concentration(importance), _concentration(importance.T)


def _concentration(importance: np.ndarray) -> float:
    """Mean over rows, weighted by mass, of 1 - entropy of the row / log of its length."""
    mass = importance.sum(axis=1)
    if mass.sum() <= 0:
        return 0.0
    rows = importance[mass > 0]
    p = rows / rows.sum(axis=1, keepdims=True)
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    concentration = 1 - entropy / np.log(max(importance.shape[1], 2))
    return float(concentration @ mass[mass > 0] / mass.sum())


def tree_importance(
    train: np.ndarray,
    classes: np.ndarray,
    test: np.ndarray,
    held_out: np.ndarray,
    trees: ClassifierMixin,
) -> tuple[np.ndarray, np.ndarray]:
    """Impurity importances (D, F) of one classifier per factor, and which held-out rows are right (M, F)."""
    importance, right = [], []
    for f in range(classes.shape[1]):
        fitted = clone(trees).fit(train, classes[:, f])
        importance.append(fitted.feature_importances_)
        right.append(fitted.predict(test) == held_out[:, f])
    return np.stack(importance, axis=1), np.stack(right, axis=1)


def dci(
    codes: ArrayLike,
    factors: Factors,
    *,
    trees: ClassifierMixin | None = None,
    train: int = 10_000,
    test: int = 5_000,
    refits: int = 0,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """DCI per column by the public protocol: D, C and the mean held-out accuracy.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes.
        trees: classifier with `feature_importances_`; None means GradientBoostingClassifier with
            scikit-learn's defaults, as published; minutes to an hour. RandomForestClassifier takes seconds.
        train: rows to fit on; where there are too few for both, two thirds of all.
        test: rows to score on.
        refits: on resampled rows, for an interval; 0 gives none.
        groups: source of each row; a source is never on both sides of the split.
        seed: of the split and the trees.

    Returns:
        disentanglement, completeness, informativeness; 1 is best.
    """
    codes = as_codes(codes)
    classes = class_factors(factors, len(codes))
    labels = np.stack(list(classes.values()), axis=1)
    for what, columns in (("codes", codes), ("factors", labels)):
        if (columns == columns[:1]).all():
            return _nulls(f"all {what} are constant", legacy=True)
    labels = labels[:, (labels != labels[:1]).any(axis=0)]  # a constant is predicted by anything
    fit, held = split_rows(len(codes), train, test, groups, seed)
    if len(fit) < 10 or len(held) < 10:
        return _nulls(f"{len(codes)} samples are too few to fit and test on", legacy=True)
    if trees is None:
        trees = GradientBoostingClassifier()
    trees = clone(trees).set_params(random_state=seed)
    importance, right = tree_importance(codes[fit], labels[fit], codes[held], labels[held], trees)

    def again(rows: np.ndarray) -> tuple[float, float]:
        drawn = fit[rows]
        one = held[:1]
        return disentanglement_completeness(
            tree_importance(codes[drawn], labels[drawn], codes[one], labels[one], trees)[0]
        )

    side = None if groups is None else np.asarray(groups)
    intervals = _refit_intervals(again, len(fit), refits, None if side is None else side[fit], seed)
    accuracy = right.mean(axis=1)
    intervals.append(
        bootstrap(
            lambda rows: accuracy[rows].mean(),
            len(held),
            groups=None if side is None else side[held],
            seed=seed,
        )
    )
    # noise grows deep boosted trees: a small forest shows the chance level in seconds
    rows = fit[:1000]
    forest = RandomForestClassifier(20, random_state=seed)
    order = np.random.default_rng(seed).permutation(rows)
    null, wrong = tree_importance(codes[rows], labels[order], codes[held], labels[held], forest)
    floors = (*disentanglement_completeness(null), wrong.mean())
    values = (*disentanglement_completeness(importance), accuracy.mean())
    counts = (len(fit), len(fit), len(held))
    found = {
        name: Score(
            value,
            n=n,
            floor=float(floor),
            ceiling=1.0,
            interval=interval,
            page=PAGE,
            legacy=True,
        )
        for name, value, n, floor, interval in zip(
            NAMES, values, counts, floors, intervals, strict=True
        )
    }
    return found | _undefined(codes.shape[1], labels.shape[1], legacy=True)


def block_dci(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    train: int = 1500,
    test: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """DCI per block by additive kernel ridge regression; see the top of this file.

    Args:
        codes: (N, D).
        factors: classes (predicted as indicators), numbers or vectors.
        blocks: columns by block; None makes every column a block.
        train: rows to fit on, at a cost of their cube; where there are too few, 60 % of all.
        test: rows to score on.
        groups: source of each row; a source is never on both sides of the split.
        seed: of the split and the shuffled control.

    Returns:
        disentanglement, completeness, informativeness; 1 is best. The interval resamples test rows.
    """
    codes = as_codes(codes)
    n = len(codes)
    index = as_blocks(blocks, codes.shape[1])
    known = as_factors(factors, n)
    targets = {name: _target(values) for name, values in known.items()}
    targets = {name: t for name, t in targets.items() if t.shape[1]}
    points = [z for z in (whiten(codes[:, columns]) for columns in index.values()) if z.shape[1]]
    fit, held = split_rows(n, train, test, groups, seed)
    if not points or not targets:
        return _nulls(f"all {'factors' if points else 'codes'} are constant")
    if len(fit) < 20 or len(held) < 10:
        return _nulls(f"{n} samples are too few to fit and test on")

    truth = np.concatenate(list(targets.values()), axis=1)
    shuffled = truth[np.random.default_rng(seed).permutation(n)]
    owner = np.repeat(np.arange(len(targets)), [t.shape[1] for t in targets.values()])
    is_class = [known[name].dtype.kind == "i" for name in targets]
    real, null = _additive_fits(points, [truth, shuffled], fit, held)

    chance = 3 * _importance(null, shuffled[held], owner).max() + 0.005

    def scores(parts: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
        importance = _importance(parts, truth, owner)
        importance[importance < chance] = 0  # shares of nothing would be shares of noise
        return *disentanglement_completeness(importance), _informativeness(
            parts, truth, owner, is_class
        )

    sources = None if groups is None else np.asarray(groups)[held]
    values, floors = scores(real, truth[held]), scores(null, shuffled[held])
    found = {
        name: Score(
            values[i],
            n=len(held),
            floor=floors[i],
            ceiling=1.0,
            interval=bootstrap(
                lambda rows, i=i: scores(real[rows], truth[held][rows])[i],
                len(held),
                groups=sources,
                resamples=100,
                seed=seed,
            ),
            page=PAGE,
        )
        for i, name in enumerate(NAMES)
    }
    return found | _undefined(len(points), len(targets))


def _target(values: np.ndarray) -> np.ndarray:
    """Outputs to predict: indicators of classes, whitened coordinates of vectors, (N, outputs)."""
    if values.dtype.kind == "i":
        classes = np.unique(values)
        return (values[:, None] == classes).astype(float) if len(classes) > 1 else values[:, :0]
    return whiten(values)


def _additive_fits(
    points: list[np.ndarray], outputs: list[np.ndarray], fit: np.ndarray, held: np.ndarray
) -> list[np.ndarray]:
    """Parts f_b(z_b) of the held-out predictions, (M, B, outputs), each output set with its own best ridge.

    Shuffled outputs fitted with the ridge of predictable ones would be fitted to the last noise, and their
    importance, the cut, would lie above that of everything real.
    """
    kernels = [_gaussian_kernel(z[fit], z[held]) for z in points]
    gram = sum(kernel[: len(fit)] for kernel in kernels)
    inner = len(fit) * 4 // 5
    means = [values[fit].mean(axis=0) for values in outputs]
    centred = [values[fit] - mean for values, mean in zip(outputs, means, strict=True)]
    columns = np.cumsum([values.shape[1] for values in outputs])[:-1]
    together = np.concatenate(centred, axis=1)
    errors = []
    for ridge in RIDGES:
        weights = _ridge(gram[:inner, :inner], together[:inner], ridge)
        squared = np.square(gram[inner:, :inner] @ weights - together[inner:])
        errors.append([part.sum() for part in np.split(squared, columns, axis=1)])
    fits = []
    for best, values, mean in zip(np.argmin(errors, axis=0), centred, means, strict=True):
        weights = _ridge(gram, values, RIDGES[best])
        parts = np.stack([kernel[len(fit) :] @ weights for kernel in kernels], axis=1)
        parts[:, 0] += mean  # a constant does not change any importance
        fits.append(parts)
    return fits


def _gaussian_kernel(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """exp(-|z - z'|^2 / 2 d) of all rows against the training rows, d the dimension of the block."""
    squared = cdist(np.concatenate([train, test]), train, "sqeuclidean")
    return np.exp(-squared / (2 * train.shape[1]))


def _ridge(gram: np.ndarray, outputs: np.ndarray, ridge: float) -> np.ndarray:
    return solve(gram + ridge * np.eye(len(gram)), outputs, assume_a="pos")


def _importance(parts: np.ndarray, truth: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """R (B, F): what shuffling a block costs, as a share of the variance of the factor."""
    residual = truth - parts.sum(axis=1)
    without = residual[:, None] + parts
    covariance = (without * parts).mean(axis=0) - without.mean(axis=0) * parts.mean(axis=0)
    rise = np.stack([np.bincount(owner, row) for row in covariance])
    return np.maximum(rise, 0) / np.maximum(np.bincount(owner, truth.var(axis=0)), 1e-12)


def _informativeness(
    parts: np.ndarray, truth: np.ndarray, owner: np.ndarray, is_class: list[bool]
) -> float:
    """Mean over factors of accuracy (classes) or explained variance (numbers), at least 0."""
    prediction = parts.sum(axis=1)
    scores = []
    for f, classes in enumerate(is_class):
        guess, right = prediction[:, owner == f], truth[:, owner == f]
        if classes:
            scores.append(np.mean(guess.argmax(axis=1) == right.argmax(axis=1)))
        else:
            scores.append(
                max(
                    0.0, 1 - np.square(guess - right).sum() / (len(right) * right.var(axis=0).sum())
                )
            )
    return float(np.mean(scores))


def _refit_intervals(
    statistic: Callable[[np.ndarray], tuple[float, float]],
    n: int,
    refits: int,
    groups: np.ndarray | None,
    seed: int,
) -> list[Interval | None]:
    """Intervals of D and C from a few refits, both from the same ones."""
    if refits < 2:
        return [None, None]
    known = cache(lambda rows: statistic(np.frombuffer(rows, dtype=np.int64)))
    return [
        bootstrap(
            lambda rows, i=i: known(rows.astype(np.int64).tobytes())[i],
            n,
            groups=groups,
            resamples=refits,
            seed=seed,
        )
        for i in range(2)
    ]


def _undefined(codes: int, factors: int, legacy: bool = False) -> dict[str, Score]:
    """One factor is all that a code can know, and one code all that can know it: no score, not 1."""
    about = {"page": PAGE, "legacy": legacy}
    found = {}
    if factors < 2:
        found["disentanglement"] = Score.null(
            "disentanglement needs two factors that vary", **about
        )
    if codes < 2:
        found["completeness"] = Score.null("completeness needs two codes that vary", **about)
    return found


def _nulls(reason: str, legacy: bool = False) -> dict[str, Score]:
    return {name: Score.null(reason, page=PAGE, legacy=legacy) for name in NAMES}
