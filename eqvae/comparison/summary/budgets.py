"""How much data an arm needs: free energy along the number of training images, and where curves meet."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqvae.comparison.summary.choose import select
from eqvae.comparison.summary.pairs import Paired, paired
from eqvae.comparison.summary.rows import Row, is_finished, value
from eqvae.comparison.summary.scenarios import main_budget, scenarios


@dataclass(frozen=True)
class DataRatio:
    """Images at which one arm matches another's largest budget, over that budget.

    bound "": interpolated; "<=": the smallest budget already matches (value is an upper bound); ">": no
    budget matches (value is a lower bound).
    """

    value: float
    bound: str
    interval: tuple[float, float] | None  # 95 % bootstrap over seeds; inf where not reached


@dataclass(frozen=True)
class Crossing:
    """Where `first` beats `second`, along budgets (images) or scenarios."""

    first: str
    second: str
    points: dict[Any, Paired]
    between: list[tuple[Any, Any]]  # neighbours where the sign of the mean difference changes
    at: list[float]  # images, log-linearly interpolated; empty for scenarios

    @property
    def wins(self) -> list[Any]:
        return [key for key, pair in self.points.items() if pair.better]


def hard_wins_all_seeds(
    rows: Iterable[Row], images: int = 1000, scenario: str = "se2", against: str = "augment"
) -> bool | None:
    """Whether hard has the better ELBO and the smaller pose error in every seed that `against` finished.

    A seed in which hard itself broke down is a loss. None without a seed to compare.
    """
    rows, blocks = list(rows), ("budgets", "scenarios")
    where = {"scenario": scenario, "images": images, "match": "parameters", "weight": 1.0}
    other = {r["seed"]: r for r in select(rows, blocks, arm=against, **where)}
    mine = {r["seed"]: r for r in select(rows, blocks, arm="hard", finished=False, **where)}
    verdicts = []
    for seed in sorted(other.keys() & mine.keys()):
        if not is_finished(mine[seed]):
            verdicts.append(False)
            continue
        numbers = [value(r[seed], c) for c in ("elbo", "pose_degrees") for r in (mine, other)]
        if None not in numbers:
            verdicts.append(numbers[0] > numbers[1] and numbers[2] < numbers[3])
    return all(verdicts) if verdicts else None


def curve(
    rows: Iterable[Row], arm: str, scenario: str = "se2", column: str = "free_energy"
) -> dict[int, dict[int, float]]:
    """{images: {seed: value}} at matched parameters, budgets rising."""
    found: dict[int, dict[int, float]] = {}
    blocks = ("budgets", "scenarios")
    for row in select(rows, blocks, arm=arm, scenario=scenario, match="parameters", weight=1.0):
        if value(row, column) is not None and row.get("images"):
            found.setdefault(row["images"], {})[row["seed"]] = value(row, column)
    return dict(sorted(found.items()))


def data_ratio(
    rows: Iterable[Row],
    arm: str = "hard",
    against: str = "augment",
    scenario: str = "se2",
    draws: int = 1000,
) -> DataRatio | None:
    """Images at which `arm` has the mean free energy of `against` at its largest budget, over that budget.

    Interpolated linearly in log(images) where the arm comes to lie at or below the target for good. None
    without two budgets of the arm.
    """
    rows = list(rows)
    mine, other = curve(rows, arm, scenario), curve(rows, against, scenario)
    if len(mine) < 2 or not other:
        return None
    largest = max(other)
    means = {images: statistics.fmean(cell.values()) for images, cell in mine.items()}
    images, bound = _matching_images(means, statistics.fmean(other[largest].values()))
    seeds = sorted(set(other[largest]).intersection(*mine.values()))
    interval = None
    if len(seeds) > 1:
        table = np.array([[cell[s] for s in seeds] for cell in mine.values()])
        target = np.array([other[largest][s] for s in seeds])
        random, found = np.random.default_rng(0), []
        for _ in range(draws):
            drawn = random.integers(len(seeds), size=len(seeds))
            sampled = dict(zip(mine, table[:, drawn].mean(1), strict=True))
            at, kind = _matching_images(sampled, target[drawn].mean())
            found.append(math.inf if kind == ">" else at / largest)
        low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf")
        interval = (float(low), float(high))
    return DataRatio(images / largest, bound, interval)


def crossing(
    rows: Iterable[Row],
    first: str = "soft_sum",
    second: str = "hard",
    along: str = "images",
    scenario: str = "se2",
    column: str = "free_energy",
) -> Crossing | None:
    """Differences and their sign changes, along "images" (at one scenario) or along "scenario"."""
    rows, points = list(rows), {}
    if along == "images":
        for images in curve(rows, second, scenario, column):
            where = {"scenario": scenario, "images": images}
            points[images] = paired(rows, first, second, column, ("budgets", "scenarios"), **where)
    else:
        for name in scenarios(rows):
            where = {"scenario": name, "images": main_budget(rows, name)}
            points[name] = paired(rows, first, second, column, **where)
    points = {key: pair for key, pair in points.items() if pair is not None}
    if not points:
        return None
    between, at, keys = [], [], list(points)
    for a, b in zip(keys, keys[1:], strict=False):
        if points[a].better != points[b].better:
            between.append((a, b))
            if along == "images":
                low, high = points[a].mean, points[b].mean
                at.append(math.exp(np.interp(low / (low - high), [0, 1], np.log([a, b]))))
    return Crossing(first, second, points, between, at)


def _matching_images(means: Mapping[int, float], target: float) -> tuple[float, str]:
    """Images from which the curve stays at or below the target, and whether that is a bound."""
    sizes = sorted(means)
    if means[sizes[-1]] > target:
        return sizes[-1], ">"
    i = len(sizes) - 1
    while i and means[sizes[i - 1]] <= target:
        i -= 1
    if i == 0:
        return sizes[0], "<="
    above, below = means[sizes[i - 1]], means[sizes[i]]
    share = (above - target) / (above - below)
    return math.exp(np.interp(share, [0, 1], np.log(sizes[i - 1 : i + 1]))), ""
