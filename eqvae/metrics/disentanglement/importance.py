"""Importance of codes for factors, and how concentrated it is: what the two protocols of DCI share.

With R_bf >= 0 the importance of code b (a column or a block) when factor f is predicted from all codes,

    D = sum_b w_b (1 - H(R_b. / sum_f R_bf) / log F),     w_b = sum_f R_bf / sum R
    C = sum_f w_f (1 - H(R_.f / sum_b R_bf) / log B),     w_f = sum_b R_bf / sum R
    I = how well the factors are predicted on held-out samples: accuracy, or explained variance.

Reference: Eastwood, Williams, A framework for the quantitative evaluation of disentangled
representations (2018), https://openreview.net/forum?id=By-7dz-AZ. Weights of C by mass as in
disentanglement_lib; the paper averages C over factors.
"""

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.score import Score

PAGE = "dci"
NAMES = ("disentanglement", "completeness", "informativeness")


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


def undefined(codes: int, factors: int, legacy: bool = False) -> dict[str, Score]:
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
