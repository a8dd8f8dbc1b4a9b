"""Held-out prediction: samples to fit on and to score on, and the linear probe of classes."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Resampling


def fit_and_held_out(
    n: int, train: int, test: int, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """Random disjoint rows to fit on and to score on.

    Args:
        n: number of rows.
        train: how many to fit on.
        test: how many to score on; where n < train + test both shrink in proportion.
        resampling: its sources fall on one side each, and its seed draws.

    Returns:
        (train rows, test rows); with sources of several rows their numbers are approximate.
    """
    share = train / (train + test)
    fit_size = min(train, round(n * share))
    generator = resampling.generator()
    if resampling.groups is None:
        order = generator.permutation(n)
        return order[:fit_size], order[fit_size:][:test]
    sources = as_array(resampling.groups, "groups", 1)
    check_lengths(codes=n, groups=sources)
    _, index = np.unique(sources, return_inverse=True)
    place = generator.permutation(index.max() + 1)[index]
    order = np.lexsort((generator.random(n), place))  # sources stay together
    cut = place[order[fit_size]]
    return order[place[order] < cut], order[place[order] >= cut][:test]


def class_probabilities(
    codes: np.ndarray, classes: np.ndarray, new_codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression, nearly without penalty and solved to rounding.

    The penalty is the same in every orthonormal basis, so on whitened blocks the result does not depend on
    the basis inside them.

    Returns:
        The classes (K,) and the probabilities of the new codes, (M, K).
    """
    model = LogisticRegression(C=100.0, solver="newton-cholesky", tol=1e-9, max_iter=100)
    model.fit(codes, classes)
    return model.classes_, model.predict_proba(new_codes)
