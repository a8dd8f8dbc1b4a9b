"""95 % intervals by the bootstrap, of any statistic of rows.

Intervals are centred: with T the statistic on all rows and T*_r on rows drawn with replacement, the interval
is T plus the 2.5 % and 97.5 % quantiles of T*_r - mean(T*). Centring removes the bias that repeated rows put
into information and neighbour statistics. Rows that come from one source (the orbit of one image, the nuclei
of one slide) are drawn together.

Reference: Efron, Tibshirani, An introduction to the bootstrap (1993), chapters 8 and 13.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from eqvae.metrics.inputs import check_keywords

Interval = tuple[float, float]
Statistic = Callable[[np.ndarray], float]  # row indices -> a number
Statistics = Callable[[np.ndarray], Sequence[float]]  # row indices -> several


class Draws(TypedDict, total=False):
    """Keywords of every score that draws at random; each may be left out.

    Attributes:
        groups: source of each row, (N,). Rows of one source are resampled together, and are never on both
            sides of a split.
        resamples: of the bootstrap; the default is the score's own.
        seed: of every draw: resamples, shuffled controls, splits and subsamples; default 0.
    """

    groups: ArrayLike | None
    resamples: int
    seed: int


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn: see `Draws`; None for `resamples` is 1000 for means, 200 for the rest."""

    groups: ArrayLike | None = None
    resamples: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, draws: Draws, resamples: int | None = None) -> "Resampling":
        """The keywords of a score, with its own default number of resamples.

        Raises:
            TypeError: if there is another keyword.
        """
        check_keywords(draws, Draws)
        return cls(**{"resamples": resamples, **draws})

    def generator(self) -> np.random.Generator:
        """Fresh random numbers from the seed."""
        return np.random.default_rng(self.seed)

    def of_rows(self, rows: np.ndarray) -> "Resampling":
        """The same for a part of the rows: indices or a mask."""
        if self.groups is None:
            return self
        return replace(self, groups=np.asarray(self.groups)[rows])

    def sources(self, n: int) -> np.ndarray:
        """Number of the source of each of n rows, 0, 1, ...; every row is its own without groups."""
        if self.groups is None:
            return np.arange(n)
        return np.unique(np.asarray(self.groups), return_inverse=True)[1]

    def interval(self, statistic: Statistic, n: int, value: float | None = None) -> Interval | None:
        """`bootstrap` of a statistic of n rows, whose value on all of them may be known already."""
        value = statistic(np.arange(n)) if value is None else value
        return self.intervals(lambda rows: [statistic(rows)], n, [value])[0]

    def intervals(
        self, statistics: Statistics, n: int, values: Sequence[float]
    ) -> list[Interval | None]:
        """`bootstrap` of several statistics of n rows, all from the same draws.

        Args:
            statistics: row indices -> K numbers.
            n: number of rows.
            values: the statistics of all rows, K.
        """
        if len(values) == 0:
            return []
        resamples = 200 if self.resamples is None else self.resamples
        drawn = _resampled_rows(n, self.groups, resamples, self.seed)
        draws = np.asarray([statistics(rows) for rows in drawn]).reshape(-1, len(values))
        pairs = zip(values, draws.T, strict=True)
        return [_interval(value, column[np.isfinite(column)]) for value, column in pairs]

    def of_mean(self, values: np.ndarray, weights: np.ndarray | None = None) -> Interval | None:
        """`mean_interval` of values, one for each row."""
        resamples = 1000 if self.resamples is None else self.resamples
        known = {"groups": self.groups, "resamples": resamples, "seed": self.seed}
        return mean_interval(values, weights, **known)

    def of_root(self, squares: np.ndarray, weights: np.ndarray | None = None) -> Interval | None:
        """Interval of the root of sum(squares) / sum(weights)."""
        interval = self.of_mean(squares, weights)
        return interval and tuple(math.sqrt(max(end, 0.0)) for end in interval)


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Interval | None:
    """95 % interval of a statistic of rows.

    Below 100 resamples (for statistics that take long) the quantiles are those of Student's t with the
    standard deviation of the resamples.

    Args:
        statistic: row indices (n,) -> a number; NaN resamples are left out.
        n: number of rows.
        groups: source of each row, (n,); rows of one source are drawn together.
        resamples: how many, at least 2.
        seed: of the draws.

    Returns:
        (low, high), or None if there are fewer than two sources or the statistic is never defined.
    """
    return Resampling(groups, resamples, seed).interval(statistic, n)


def mean_interval(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """95 % interval of sum(values) / sum(weights), by the bootstrap of its linear part in the rows.

    Args:
        values: one number for each row, (n,).
        weights: denominators, (n,); None means ones, so that the statistic is the mean.
        groups, resamples, seed: as for `bootstrap`.
    """
    values = np.asarray(values, dtype=float)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, dtype=float)
    if groups is not None:
        _, index = np.unique(np.asarray(groups), return_inverse=True)
        values, weights = np.bincount(index, values), np.bincount(index, weights)
    m = len(values)
    if m < 2:
        return None
    # linear in the rows: a resample with a small denominator would blow the ratio itself up
    centre = values.sum() / weights.sum()
    shares = (values - centre * weights) / weights.sum()
    generator = np.random.default_rng(seed)
    draws = np.empty(resamples)
    at_once = max(1, 100_000 // m)  # bounded memory for a million rows
    for first in range(0, resamples, at_once):
        part = slice(first, min(first + at_once, resamples))
        rows = generator.integers(m, size=(part.stop - part.start, m))
        draws[part] = centre + shares[rows].sum(axis=1)
    return _interval(centre, draws)


def _resampled_rows(
    n: int, groups: ArrayLike | None, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    if groups is None:
        if n >= 2:
            yield from (generator.integers(n, size=n) for _ in range(resamples))
        return
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(index, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(index))[:-1])
    if len(members) >= 2:
        for _ in range(resamples):
            drawn = generator.integers(len(members), size=len(members))
            yield np.concatenate([members[i] for i in drawn])


def _interval(centre: float, draws: Sequence[float]) -> Interval | None:
    if len(draws) < 2 or not np.isfinite(centre):
        return None
    if len(draws) < 100:
        half = student.ppf(0.975, len(draws) - 1) * np.std(draws, ddof=1)
        return float(centre - half), float(centre + half)
    low, high = np.quantile(draws - np.mean(draws), [0.025, 0.975])
    return float(centre + low), float(centre + high)
