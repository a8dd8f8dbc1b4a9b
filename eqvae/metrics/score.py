"""A score with everything needed to judge it.

A number alone says little: 0.66 is what pure noise scores on one measure and the record on another. So
every metric of this package returns `Score`s: the value, what chance gives (floor), what a perfect model
gives (ceiling), the sample size, a 95 % interval (`eqvae.metrics.intervals`) and which direction is better.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from eqvae.metrics.intervals import Interval, Resampling, Statistic, Statistics


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
        for name in ("value", "floor", "ceiling"):
            if (number := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(number))
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(
                f"value of a score must be finite; got {self.value}. Use Score.null(reason)."
            )

    @classmethod
    def null(cls, reason: str, **known: Any) -> "Score":
        """A score that these data do not allow, and why."""
        return cls(value=None, reason=reason, **known)

    @classmethod
    def nulls(cls, names: Iterable[str], reason: str, **known: Any) -> dict[str, "Score"]:
        """`null` under several names."""
        return {name: cls.null(reason, **known) for name in names}

    @classmethod
    def of_mean(cls, values: np.ndarray, resampling: Resampling, **known: Any) -> "Score":
        """The mean over rows of values (N,) or (N, M), whose interval is over rows; n counts the values."""
        values = np.asarray(values, dtype=float)
        rows = values if values.ndim == 1 else values.mean(axis=1)
        known = {"n": values.size, "interval": resampling.of_mean(rows), **known}
        return cls(values.mean(), **known)

    @classmethod
    def of_ratio(
        cls, values: np.ndarray, weights: np.ndarray, resampling: Resampling, **known: Any
    ) -> "Score":
        """sum(values) / sum(weights) over rows, both (N,)."""
        known = {"n": len(values), "interval": resampling.of_mean(values, weights), **known}
        return cls(values.sum() / weights.sum(), **known)

    @classmethod
    def of_root(
        cls,
        squares: np.ndarray,
        resampling: Resampling,
        weights: np.ndarray | None = None,
        **known: Any,
    ) -> "Score":
        """The root of sum(squares) / sum(weights) over rows, both (N,); weights are 1 if None."""
        total = len(squares) if weights is None else weights.sum()
        known = {"n": len(squares), "interval": resampling.of_root(squares, weights), **known}
        return cls(math.sqrt(squares.sum() / total), **known)

    @classmethod
    def of_statistic(
        cls, statistic: Statistic, n: int, resampling: Resampling, **known: Any
    ) -> "Score":
        """A statistic of n rows, (indices) -> number, with the bootstrap's interval."""
        value = statistic(np.arange(n))
        return cls(value, n=n, interval=resampling.interval(statistic, n, value), **known)

    @classmethod
    def of_statistics(
        cls,
        names: Sequence[str],
        statistics: Statistics,
        n: int,
        resampling: Resampling,
        floors: Sequence[float | None],
        **known: Any,
    ) -> dict[str, "Score"]:
        """Several statistics of n rows, (indices) -> numbers, with intervals from the same draws."""
        values = statistics(np.arange(n))
        intervals = resampling.intervals(statistics, n, values)
        parts = zip(names, values, intervals, floors, strict=True)
        return {
            name: cls(value, n=n, interval=interval, floor=floor, **known)
            for name, value, interval, floor in parts
        }

    def __float__(self) -> float:
        """The value; NaN where there is none."""
        return float("nan") if self.value is None else self.value

    def as_dict(self) -> dict:
        """All fields, for JSON."""
        return asdict(self)
