"""SAP, separated attribute predictability: how much better the best code predicts a factor than the next.

    SAP = mean_f ( S_(1)f - S_(2)f ),      S_df how well code d alone predicts factor f.

`sap` is the public protocol per column. Its two versions differ a lot and are reported as two scores:
continuous, S = cov(z, v)^2 / (var z var v), and discrete, S = the held-out accuracy of a balanced linear
support vector machine with C = 0.01. `block_sap` predicts from whole blocks by what does not depend on a
basis: the variance that linear regression explains, or the balanced accuracy of a linear discriminant
above chance, (accuracy - 1/K) / (1 - 1/K).

Reference: Kumar, Sattigeri, Balakrishnan, Variational inference of disentangled latent concepts (2018),
https://arxiv.org/abs/1711.00848.
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from eqvae.metrics.disentanglement.held_out import split_rows
from eqvae.metrics.disentanglement.information import class_factors, whiten
from eqvae.metrics.disentanglement.mig import gaps
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Score, bootstrap

PAGE = "sap"


def sap(
    codes: ArrayLike,
    factors: Factors,
    *,
    train: int = 10_000,
    test: int = 5_000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """SAP per column, discrete and continuous.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes; the continuous version takes the
            number of the class.
        train: rows to fit the support vector machines on; with too few for both, two thirds of all.
        test: rows to score them on.
        groups: source of each row, for the interval and the split.
        seed: of the split, the resamples and the shuffled control.

    Returns:
        discrete and continuous. The ceiling of the first scores the factors themselves as codes, on 1000
        rows: one line can't be cut into 40 classes by a linear machine, so a perfect code reads 0.21.
    """
    codes = as_codes(codes)
    n = len(codes)
    classes = {k: v for k, v in class_factors(factors, n).items() if v.max() > 0}
    codes = codes[:, codes.std(axis=0) > 0]
    known = dict(page=PAGE, legacy=True)
    fit, held = split_rows(n, train, test, groups, seed)
    if codes.shape[1] == 0 or not classes or min(len(fit), len(held)) < 10:
        too_few = "too few samples" if codes.shape[1] and classes else "all are constant"
        reason = f"{too_few}: {n} samples, {codes.shape[1]} codes and {len(classes)} factors vary"
        return {name: Score.null(reason, **known) for name in ("discrete", "continuous")}
    labels = np.stack(list(classes.values()), axis=1)
    shuffled = labels[np.random.default_rng(seed).permutation(n)]

    def linear(codes: np.ndarray, labels: np.ndarray) -> float:
        return float(gaps(_squared_correlation(codes, labels)).mean())

    right = _support_vector_hits(codes, labels, fit, held)
    few = fit[:1000]
    perfect = _support_vector_hits(labels.astype(float), labels, few, held)
    chance = _support_vector_hits(codes, shuffled, few, held)
    sources = None if groups is None else np.asarray(groups)
    return {
        "discrete": Score(
            gaps(right.mean(axis=0)).mean(),
            n=len(held),
            floor=float(gaps(chance.mean(axis=0)).mean()),
            ceiling=float(gaps(perfect.mean(axis=0)).mean()),
            interval=bootstrap(
                lambda rows: gaps(right[rows].mean(axis=0)).mean(),
                len(held),
                groups=None if sources is None else sources[held],
                seed=seed,
            ),
            **known,
        ),
        "continuous": Score(
            linear(codes, labels),
            n=n,
            floor=linear(codes, shuffled),
            ceiling=1.0,
            interval=bootstrap(
                lambda rows: linear(codes[rows], labels[rows]), n, groups=groups, seed=seed
            ),
            **known,
        ),
    }


def block_sap(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    train: int = 5_000,
    test: int = 5_000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """SAP per block on held-out samples; unchanged by any basis change inside blocks.

    Args:
        codes: (N, D).
        factors: classes, numbers or vectors.
        blocks: columns by block; None makes every column a block.
        train: rows to fit on; with too few for both, half of all.
        test: rows to score on.
        groups: source of each row, for the interval and the split.
        seed: of the split, the resamples and the shuffled control.

    Returns:
        sap. Both kinds of factor score 0 at chance and 1 when predicted without error.
    """
    codes = as_codes(codes)
    n = len(codes)
    points = [whiten(codes[:, c]) for c in as_blocks(blocks, codes.shape[1]).values()]
    points = [z for z in points if z.shape[1]]
    fit, held = split_rows(n, train, test, groups, seed)
    arrays = as_factors(factors, n).values()
    values = [v if v.dtype.kind == "i" else whiten(v) for v in arrays]
    values = [v for v in values if v.size and (v[fit] != v[fit[:1]]).any()]
    if not points or not values or min(len(fit), len(held)) < 10:
        reason = "too few samples" if points and values else "all codes or all factors are constant"
        return {"sap": Score.null(reason, n=n, page=PAGE)}

    def losses(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Losses (M, B, F) and those of a blind guess (M, F), whose ratio is 1 - S."""
        pairs = [[_losses(z, v, fit, held) for v in values] for z in points]
        loss = np.array([[pair[0] for pair in row] for row in pairs]).transpose(2, 0, 1)
        return loss, np.stack([pair[1] for pair in pairs[0]], axis=1)

    def score(loss: np.ndarray, blind: np.ndarray) -> float:
        share = 1 - loss.mean(axis=0) / np.maximum(blind.mean(axis=0), 1e-12)
        return float(gaps(np.maximum(share, 0)).mean())

    loss, blind = losses(values)
    order = np.random.default_rng(seed).permutation(n)
    return {
        "sap": Score(
            score(loss, blind),
            n=len(held),
            floor=score(*losses([v[order] for v in values])),
            ceiling=1.0,
            interval=bootstrap(
                lambda rows: score(loss[rows], blind[rows]),
                len(held),
                groups=None if groups is None else np.asarray(groups)[held],
                seed=seed,
            ),
            page=PAGE,
        )
    }


def _squared_correlation(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    z, v = codes - codes.mean(axis=0), labels - labels.mean(axis=0)
    variance = np.outer(np.square(z).sum(axis=0), np.square(v).sum(axis=0))
    return np.square(z.T @ v) / np.maximum(variance, 1e-300)


def _support_vector_hits(
    codes: np.ndarray, labels: np.ndarray, fit: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """Which held-out rows each column gets right for each factor, (M, D, F)."""
    right = np.empty((len(held), codes.shape[1], labels.shape[1]))
    for d, f in np.ndindex(right.shape[1:]):
        if len(np.unique(labels[fit, f])) < 2:
            right[:, d, f] = labels[held, f] == labels[fit[0], f]
            continue
        machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the protocol stops there, too
            machine.fit(codes[fit, d : d + 1], labels[fit, f])
        right[:, d, f] = machine.predict(codes[held, d : d + 1]) == labels[held, f]
    return right


def _losses(
    z: np.ndarray, v: np.ndarray, fit: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Losses of the held-out rows when v is predicted from z, and when it is guessed blindly, (M,) each."""
    if v.ndim > 1:
        design = np.concatenate([z, np.ones((len(z), 1))], axis=1)
        weights, *_ = np.linalg.lstsq(design[fit], v[fit], rcond=None)
        loss = np.square(v[held] - design[held] @ weights).sum(axis=1)
        return loss, np.square(v[held] - v[fit].mean(axis=0)).sum(axis=1)
    kinds, index, counts = np.unique(v[fit], return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(index, column) for column in z[fit].T], axis=1) / counts[:, None]
    deviation = z[fit] - means[index]
    # a noiseless code has no spread within a class; the ridge is 1e-6 of the total variance
    spread = deviation.T @ deviation / len(fit) + 1e-6 * np.eye(z.shape[1])
    scaled = np.linalg.solve(np.linalg.cholesky(spread), np.concatenate([z[held], means]).T).T
    points, centres = np.split(scaled, [len(held)])
    squared = np.square(points[:, None] - centres).sum(axis=2)
    truth, present = np.unique(v[held], return_inverse=True)
    balance = len(held) / len(truth) / np.bincount(present)[present]  # every class weighs the same
    wrong = kinds[squared.argmin(axis=1)] != v[held]
    return wrong * balance, np.full(len(held), 1 - 1 / len(kinds)) * balance
