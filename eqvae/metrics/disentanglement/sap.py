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
from typing import Unpack

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from eqvae.metrics.disentanglement.held_out import HeldOutRows, Split
from eqvae.metrics.disentanglement.histograms import class_factors
from eqvae.metrics.disentanglement.linear_losses import balanced_losses, square_losses
from eqvae.metrics.disentanglement.mig import code_gaps
from eqvae.metrics.disentanglement.whitening import whiten, whitened_blocks
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_codes, as_factors
from eqvae.metrics.score import Score

PAGE = "sap"


def sap(codes: Codes, factors: Factors, **split: Unpack[Split]) -> dict[str, Score]:
    """SAP per column, discrete and continuous.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes; the continuous version takes the
            number of the class.
        **split: see `Split`; 10,000 rows to fit the support vector machines on, 5,000 to score them on.

    Returns:
        discrete and continuous. The ceiling of the first scores the factors themselves as codes, on 1000
        rows: one line can't be cut into 40 classes by a linear machine, so a perfect code reads 0.21.
    """
    codes = as_codes(codes)
    n = len(codes)
    rows = HeldOutRows.of(n, split, 10_000, 5_000)
    fit, held = rows.fit, rows.held
    classes = {k: v for k, v in class_factors(factors, n).items() if v.max() > 0}
    codes = codes[:, codes.std(axis=0) > 0]
    known = dict(page=PAGE, legacy=True)
    if codes.shape[1] == 0 or not classes or rows.smallest < 10:
        too_few = "too few samples" if codes.shape[1] and classes else "all are constant"
        reason = f"{too_few}: {n} samples, {codes.shape[1]} codes and {len(classes)} factors vary"
        return Score.nulls(("discrete", "continuous"), reason, **known)
    labels = np.stack(list(classes.values()), axis=1)
    shuffled = labels[rows.resampling.generator().permutation(n)]

    def discrete(right: np.ndarray) -> float:
        return code_gaps(right.mean(axis=0)).mean()

    def linear(codes: np.ndarray, labels: np.ndarray) -> float:
        return code_gaps(_squared_correlation(codes, labels)).mean()

    right = _support_vector_hits(codes, labels, fit, held)
    few = fit[:1000]
    classified = Score.of_statistic(
        lambda drawn: discrete(right[drawn]),
        len(held),
        rows.scored,
        floor=discrete(_support_vector_hits(codes, shuffled, few, held)),
        ceiling=discrete(_support_vector_hits(labels.astype(float), labels, few, held)),
        **known,
    )
    known |= dict(floor=linear(codes, shuffled), ceiling=1.0)
    correlated = Score.of_statistic(
        lambda drawn: linear(codes[drawn], labels[drawn]), n, rows.resampling, **known
    )
    return {"discrete": classified, "continuous": correlated}


def block_sap(
    codes: Codes, factors: Factors, *, blocks: Blocks = None, **split: Unpack[Split]
) -> dict[str, Score]:
    """SAP per block on held-out samples; unchanged by any basis change inside blocks.

    Args:
        codes, factors, blocks: as for `block_information`.
        **split: see `Split`; 5,000 rows to fit on and as many to score on.

    Returns:
        sap. Both kinds of factor score 0 at chance and 1 when predicted without error.
    """
    codes = as_codes(codes)
    n = len(codes)
    rows = HeldOutRows.of(n, split, 5_000, 5_000)
    fit, held = rows.fit, rows.held
    points = whitened_blocks(codes, blocks)
    arrays = as_factors(factors, n).values()
    values = [v if v.dtype.kind == "i" else whiten(v) for v in arrays]
    values = [v for v in values if v.size and (v[fit] != v[fit[:1]]).any()]
    if not points or not values or rows.smallest < 10:
        reason = "too few samples" if points and values else "all codes or all factors are constant"
        return {"sap": Score.null(reason, n=n, page=PAGE)}

    def losses(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Losses (M, B, F) and those of a blind guess (M, F), whose ratio is 1 - S."""
        pairs = [
            [(balanced_losses if v.ndim == 1 else square_losses)(z, v, fit, held) for v in values]
            for z in points
        ]
        loss = np.array([[pair[0] for pair in row] for row in pairs]).transpose(2, 0, 1)
        return loss, np.stack([pair[1] for pair in pairs[0]], axis=1)

    def value(loss: np.ndarray, blind: np.ndarray) -> float:
        share = 1 - loss.mean(axis=0) / np.maximum(blind.mean(axis=0), 1e-12)
        return code_gaps(np.maximum(share, 0)).mean()

    loss, blind = losses(values)
    order = rows.resampling.generator().permutation(n)
    score = Score.of_statistic(
        lambda drawn: value(loss[drawn], blind[drawn]),
        len(held),
        rows.scored,
        floor=value(*losses([v[order] for v in values])),
        ceiling=1.0,
        page=PAGE,
    )
    return {"sap": score}


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
