"""A score with everything needed to judge it, and the bootstrap that gives its interval.

A number alone says little: 0.66 is what pure noise scores on one measure and the record on another. So
every metric of this package returns `Score`s: the value, what chance gives (floor), what a perfect model
gives (ceiling), the sample size, a 95 % interval and which direction is better.

Intervals are centred bootstraps: with T the statistic on all rows and T*_r on rows drawn with
replacement, the interval is T plus the 2.5 % and 97.5 % quantiles of T*_r - mean(T*). Centring removes the
bias that repeated rows put into information and neighbour statistics. Rows that come from one source (the
orbit of one image, the nuclei of one slide) are drawn together.

Reference: Efron, Tibshirani, An introduction to the bootstrap (1993), chapters 8 and 13.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """One measured number.

    Attributes:
        value: the number; None if it cannot be measured on these data.
        n: number of samples behind it.
        better: which direction is better.
        floor: what chance gives, measured (shuffled control) or in closed form; for a score where
            lower is better this is the larger number. None if the score has none.
        ceiling: what a perfect model gives on these data. None if there is no such number.
        interval: 95 % bootstrap interval, None where there was nothing to resample.
        std: standard deviation over the seeds of a random procedure, such as a clusterer.
        unit: "degrees", "px", "nats", ... ; empty for a pure number.
        page: heading in docs/metrics.md that explains the score.
        legacy: kept for comparison with the literature; reads a perfect SE(2) code as imperfect.
        reason: why the value is None, or what a value means that is a failure.

    Raises:
        ValueError: if the value is not finite, or None without a reason.

    Example:
        >>> float(Score(0.8, n=100, floor=0.1, ceiling=1.0))
        0.8
        >>> Score.null("no labels").reason
        'no labels'
    """

    value: float | None
    n: int = 0
    better: Literal["higher", "lower", "neither"] = "higher"
    floor: float | None = None
    ceiling: float | None = None
    interval: Interval | None = None
    std: float | None = None
    unit: str = ""
    page: str = ""
    legacy: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a score without a value must say why: give reason.")
        if self.value is not None:
            object.__setattr__(self, "value", float(self.value))
            if not np.isfinite(self.value):
                raise ValueError(
                    f"value of a score must be finite; got {self.value}. Use Score.null(reason)."
                )

    @classmethod
    def null(cls, reason: str, **known) -> "Score":
        """A score that these data do not allow, and why."""
        return cls(value=None, reason=reason, **known)

    def __float__(self) -> float:
        """The value; NaN where there is none."""
        return float("nan") if self.value is None else self.value

    def as_dict(self) -> dict:
        """All fields, for JSON."""
        return asdict(self)


def bootstrap(
    statistic: Callable[[np.ndarray], float],
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
    draws = [statistic(rows) for rows in _resampled_rows(n, groups, resamples, seed)]
    draws = np.asarray([d for d in draws if np.isfinite(d)])
    centre = statistic(np.arange(n))
    return _interval(centre, draws)


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
        groups: source of each row, (n,).
        resamples: how many.
        seed: of the draws.
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


def _resampled_rows(n: int, groups: ArrayLike | None, resamples: int, seed: int):
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
