"""Held-out prediction: samples to fit on and to score on, and the linear probe of classes."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from eqvae.metrics.inputs import as_array, check_keywords, check_lengths
from eqvae.metrics.intervals import Draws, Resampling


class Split(Draws, total=False):
    """Keywords of every score on held-out rows; each may be left out. Those of `Draws`, and:

    Attributes:
        train: rows to fit on; the default is the score's own. Where there are too few rows for both, both
            numbers shrink in proportion.
        test: rows to score on.
    """

    train: int
    test: int


@dataclass(frozen=True)
class HeldOutRows:
    """Random disjoint rows to fit on and to score on.

    With sources of several rows, each on one side, their numbers are approximate.

    Attributes:
        fit: rows to fit on.
        held: rows to score on.
        resampling: of all rows.
    """

    fit: np.ndarray
    held: np.ndarray
    resampling: Resampling

    @classmethod
    def of(
        cls, n: int, split: Split, train: int, test: int, resamples: int | None = None
    ) -> "HeldOutRows":
        """Rows of n by the keywords of a score, with its own defaults."""
        check_keywords(split, Split)
        draws = {key: value for key, value in split.items() if key in Draws.__annotations__}
        resampling = Resampling.of(draws, resamples)
        sizes = split.get("train", train), split.get("test", test)
        return cls(*fit_and_held_out(n, *sizes, resampling), resampling)

    @property
    def scored(self) -> Resampling:
        """Resampling of the held-out rows."""
        return self.resampling.of_rows(self.held)

    @property
    def smallest(self) -> int:
        """Number of rows on the smaller side."""
        return min(len(self.fit), len(self.held))


def fit_and_held_out(
    n: int, train: int, test: int, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `HeldOutRows`: at most `train` and `test` of n."""
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
