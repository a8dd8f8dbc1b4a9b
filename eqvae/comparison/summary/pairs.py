"""Differences of two arms, paired by seed: d_s = x_s(first) - x_s(second).

Their t interval is mean(d) +- t_{0.975, n-1} std(d) / sqrt(n).
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from eqvae.comparison.summary.choose import select
from eqvae.comparison.summary.rows import HIGHER, Row, value


@dataclass(frozen=True)
class Paired:
    """first - second over the seeds that both finished, with its 95 % t interval (None for one seed)."""

    first: str
    second: str
    column: str
    mean: float
    interval: tuple[float, float] | None
    n: int
    wins: int  # seeds in which `first` is better
    percent: float | None  # 100 mean / |mean of second|

    @property
    def separable(self) -> bool:
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def better(self) -> bool:
        return self.mean > 0 if self.column in HIGHER else self.mean < 0

    @property
    def half(self) -> float | None:
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / 2


def paired(
    rows: Iterable[Row],
    first: str,
    second: str,
    column: str = "free_energy",
    blocks: Sequence[str] = ("scenarios",),
    **where: Any,
) -> Paired | None:
    """first - second, paired by seed; `where` as in `select` (match="parameters", weight=1 unless given)."""
    rows, where = list(rows), {"match": "parameters", "weight": 1.0} | where
    one, two = (
        {r["seed"]: value(r, column) for r in select(rows, blocks, arm=arm, **where)}
        for arm in (first, second)
    )
    return difference(one, two, first, second, column)


def difference(
    one: Mapping[int, float | None],
    two: Mapping[int, float | None],
    first: str,
    second: str,
    column: str,
) -> Paired | None:
    """one - two over the seeds that both hold."""
    seeds = [s for s in one if one[s] is not None and two.get(s) is not None]
    if not seeds:
        return None
    d = np.array([one[s] - two[s] for s in seeds])
    mean, size = float(d.mean()), abs(statistics.fmean(two[s] for s in seeds))
    interval = None
    if len(d) > 1:
        half = float(stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
        interval = (mean - half, mean + half)
    wins = int((d > 0).sum() if column in HIGHER else (d < 0).sum())
    percent = 100 * mean / size if size > 0 else None
    return Paired(first, second, column, mean, interval, len(d), wins, percent)
