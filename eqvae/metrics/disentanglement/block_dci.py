"""DCI per block: additive kernel ridge regression predicts each factor.

The prediction is additive over blocks, f = sum_b f_b(z_b), with Gaussian kernels on whitened blocks: it sees
distances within a block only, so no basis change inside a block moves it. The importance R_bf is the rise of
the held-out squared error when block b is shuffled, halved, in closed form:

    R_bf = Cov(v - f + f_b, f_b), as a share of the variance of v,

and 0 where that is under three times the largest that shuffled factors give (plus 0.005). `importance.py`
says how D, C and I come from it.
"""

from typing import Unpack

import numpy as np
from scipy.linalg import solve
from scipy.spatial.distance import cdist

from eqvae.metrics.disentanglement.held_out import HeldOutRows, Split
from eqvae.metrics.disentanglement.importance import (
    NAMES,
    PAGE,
    disentanglement_completeness,
    undefined,
)
from eqvae.metrics.disentanglement.whitening import whiten, whitened_blocks
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_codes, as_factors
from eqvae.metrics.score import Score

RIDGES = (1e-3, 1e-1, 10.0)  # the best on a fifth of the training rows is taken


def block_dci(
    codes: Codes, factors: Factors, *, blocks: Blocks = None, **split: Unpack[Split]
) -> dict[str, Score]:
    """DCI per block by additive kernel ridge regression; see the top of this file.

    Args:
        codes, factors, blocks: as for `block_information`; classes are predicted as indicators.
        **split: see `Split`; 1500 rows to fit on, at a cost of their cube, 1000 to score on, 100 resamples.

    Returns:
        disentanglement, completeness, informativeness; 1 is best.
    """
    codes = as_codes(codes)
    n = len(codes)
    rows = HeldOutRows.of(n, split, 1500, 1000, resamples=100)
    fit, held = rows.fit, rows.held
    points = whitened_blocks(codes, blocks)
    known = as_factors(factors, n)
    targets = {name: _target(values) for name, values in known.items()}
    targets = {name: t for name, t in targets.items() if t.shape[1]}
    if not points or not targets:
        reason = f"all {'factors' if points else 'codes'} are constant"
        return Score.nulls(NAMES, reason, page=PAGE)
    if len(fit) < 20 or len(held) < 10:
        return Score.nulls(NAMES, f"{n} samples are too few to fit and test on", page=PAGE)

    truth = np.concatenate(list(targets.values()), axis=1)
    shuffled = truth[rows.resampling.generator().permutation(n)]
    owner = np.repeat(np.arange(len(targets)), [t.shape[1] for t in targets.values()])
    is_class = [known[name].dtype.kind == "i" for name in targets]
    real, null = _additive_fits(points, [truth, shuffled], fit, held)
    truth, shuffled = truth[held], shuffled[held]
    chance = 3 * _importance(null, shuffled, owner).max() + 0.005

    def measured(parts: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
        importance = _importance(parts, truth, owner)
        importance[importance < chance] = 0  # shares of nothing would be shares of noise
        told = _informativeness(parts, truth, owner, is_class)
        return *disentanglement_completeness(importance), told

    found = Score.of_statistics(
        NAMES,
        lambda drawn: measured(real[drawn], truth[drawn]),
        len(held),
        rows.scored,
        floors=measured(null, shuffled),
        ceiling=1.0,
        page=PAGE,
    )
    return found | undefined(len(points), len(targets))


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
