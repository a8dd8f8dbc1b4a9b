"""What a finished comparison says, as pure functions on its rows (one dict a cell and seed).

Free energy F = -ELBO without the likelihood's constant (nats, lower is better). Arms are compared at one
level, budget and match, paired by seed: d_s = x_s(first) - x_s(second), with the t interval
mean(d) +- t_{0.975, n-1} std(d) / sqrt(n). Learning-rate trials (block "tuning") never enter. What the rows
do not hold is None.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Row = Mapping[str, Any]

ARMS = (
    ("plain", "augment")
    + ("soft_encoder", "soft_posterior", "soft_decoder", "soft_round_trip", "soft_lie", "soft_sum")
    + ("relaxed", "relaxed_layers", "relaxed_bias", "projected", "canonicalised")
    + ("hard_c4", "hard_c8", "hard_c16", "hard_so2", "hard")
)
RELAXED = tuple(arm for arm in ARMS if arm.startswith("relaxed"))
LEVELS = ("se2", "limited", "upright", "broken", "stretched", "lit", "nuclei", "galaxies")
GROUP = ("block", "arm", "level", "images", "match", "weight")
COSTS = ("seconds", "wall_seconds", "macs", "parameters", "epochs", "lr")
LIKELIHOOD = ("free_energy", "elbo", "iwae", "squared_error", "kl", "val_elbo")
ERRORS = ("encoder_error", "encoder_shift_error", "decoder_error")
MEASURES = LIKELIHOOD + ERRORS + ("pose_degrees", "shift_px", "leak_r2", "clustering", "dial")
HIGHER = frozenset({"elbo", "iwae", "val_elbo", "clustering"})  # the rest: lower is better
REFERENCE = "hard"  # the arm whose parameters and MACs the others are matched to


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds; std is None for a single seed."""

    mean: float
    std: float | None
    n: int


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
class Gap:
    """How far an arm's mean lies behind the best arm's at one level (0 if it is the best)."""

    level: str
    arm: str
    best: str
    amount: float
    percent: float | None


@dataclass(frozen=True)
class Sweep:
    """An equivariance error against the factor on the soft weights, means over seeds."""

    arm: str
    level: str
    column: str
    points: dict[float, Spread]
    energy: dict[float, Spread]  # free energy at the same weights
    spearman: (
        float | None
    )  # of error with weight, over the means; -1 if every step lowers the error
    monotone: bool  # no step raises the mean error
    saturates_at: float  # first weight with an error within 10 % of the smallest
    price: Paired | None  # free energy there minus that at the smallest weight


@dataclass(frozen=True)
class Ranks:
    """Mean ranks (1 is best) over (level, seed), Friedman's test and Nemenyi's critical difference.

    CD = q_{0.05}(k, inf) / sqrt(2) * sqrt(k (k + 1) / (6 N)) for k arms and N blocks. Seeds of one level
    are not independent, so `intervals` resample whole levels: the more cautious reading.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]] | None  # None below three levels
    blocks: int
    friedman: float
    p: float
    critical_difference: float


@dataclass(frozen=True)
class Crossing:
    """Where `first` beats `second`, along budgets (images) or levels."""

    first: str
    second: str
    points: dict[Any, Paired]
    between: list[tuple[Any, Any]]  # neighbours where the sign of the mean difference changes
    at: list[float]  # images, log-linearly interpolated; empty for levels

    @property
    def wins(self) -> list[Any]:
        return [key for key, pair in self.points.items() if pair.better]


def value(row: Row, column: str) -> float | None:
    """A finite number of a row, else None."""
    found = row.get(column)
    if found is None or isinstance(found, str) or not math.isfinite(found):
        return None
    return float(found)


def spread(values: Iterable[float | None]) -> Spread | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    std = statistics.stdev(known) if len(known) > 1 else None
    return Spread(statistics.fmean(known), std, len(known))


def in_order(names: Iterable[Any], known: Sequence[Any]) -> list[Any]:
    """Unique names in the order of `known`, unknown ones behind in their own order."""
    place = {name: i for i, name in enumerate(known)}
    return sorted(dict.fromkeys(names), key=lambda n: place.get(n, len(place)))


def results(rows: Iterable[Row]) -> list[Row]:
    """Rows that count: no tuning, and the last row where a cell and seed was run again."""
    found = {}
    for row in rows:
        if row.get("block") != "tuning":
            found[tuple(_field(row, name) for name in (*GROUP, "seed"))] = row
    return list(found.values())


def select(
    rows: Iterable[Row], blocks: Sequence[str] = ("levels",), *, finished: bool = True, **where: Any
) -> list[Row]:
    """Rows of the first of `blocks` that holds them, one a cell and seed.

    Args:
        rows: of the comparison.
        blocks: in order of preference; a later one fills what an earlier one lacks.
        finished: only those.
        where: column=value. With match="macs" the reference arm's parameter-matched rows stand in where
            it has none of its own, since both matches are to that arm.
    """
    rows = list(rows)
    found: dict[tuple, Row] = {}
    for block in reversed(blocks):
        for row in results(r for r in rows if r.get("block") == block):
            if all(_field(row, name) == wanted for name, wanted in where.items()):
                found[tuple(_field(row, name) for name in (*GROUP[1:], "seed"))] = row
    if where.get("match") == "macs" and all(r.get("arm") != REFERENCE for r in found.values()):
        if where.get("arm", REFERENCE) == REFERENCE:
            own = select(
                rows,
                ("macs", "levels"),
                finished=finished,
                **where | {"arm": REFERENCE, "match": "parameters"},
            )
            return [*(r for r in found.values() if not finished or _done(r)), *own]
    return [row for row in found.values() if not finished or _done(row)]


def groups(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One dict per (block, arm, level, images, match, weight): seeds, statuses, a Spread per measure."""
    together: dict[tuple, list[Row]] = {}
    for row in results(rows):
        together.setdefault(tuple(_field(row, name) for name in GROUP), []).append(row)
    found = []
    for key, members in together.items():
        done = [row for row in members if _done(row)]
        count = Counter(row.get("status") for row in members)
        found.append(
            dict(zip(GROUP, key, strict=True))
            | {"seeds": len(done), "diverged": count["diverged"], "failed": count["failed"]}
            | {name: spread(value(row, name) for row in done) for name in MEASURES + COSTS}
        )
    return found


def main_budget(rows: Iterable[Row], level: str, block: str = "levels") -> int | None:
    """The number of images that most cells of a level have in a block; the larger of two as common."""
    found = Counter(
        r["images"]
        for r in results(rows)
        if r.get("block") == block and r.get("level") == level and r.get("images") is not None
    )
    return max(found, key=lambda images: (found[images], images)) if found else None


def levels(rows: Iterable[Row], block: str = "levels") -> list[str]:
    found = (r["level"] for r in results(rows) if r.get("block") == block and r.get("level"))
    return in_order(found, LEVELS)


def level_means(
    rows: Iterable[Row], level: str, column: str = "free_energy", match: str = "parameters"
) -> dict[str, Spread]:
    """Spread of every arm at a level's main budget, arms in their usual order."""
    rows, block = list(rows), "macs" if match == "macs" else "levels"
    images = main_budget(rows, level, block)
    cells = select(rows, (block,), level=level, images=images, match=match, weight=1.0)
    arms = in_order((r["arm"] for r in cells), ARMS)
    found = {arm: spread(value(r, column) for r in cells if r["arm"] == arm) for arm in arms}
    return {arm: s for arm, s in found.items() if s is not None}


def best_arm(means: Mapping[str, Spread], column: str = "free_energy") -> str | None:
    choose = max if column in HIGHER else min
    return choose(means, key=lambda arm: means[arm].mean) if means else None


def paired(
    rows: Iterable[Row],
    first: str,
    second: str,
    column: str = "free_energy",
    blocks: Sequence[str] = ("levels",),
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
    mean, level = float(d.mean()), abs(statistics.fmean(two[s] for s in seeds))
    interval = None
    if len(d) > 1:
        half = float(stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
        interval = (mean - half, mean + half)
    wins = int((d > 0).sum() if column in HIGHER else (d < 0).sum())
    percent = 100 * mean / level if level > 0 else None
    return Paired(first, second, column, mean, interval, len(d), wins, percent)


def hard_wins_all_seeds(
    rows: Iterable[Row], images: int = 1000, level: str = "se2", against: str = "augment"
) -> bool | None:
    """Whether hard has the better ELBO and the smaller pose error in every seed that `against` finished.

    A seed in which hard itself broke down is a loss. None without a seed to compare.
    """
    rows, blocks = list(rows), ("budgets", "levels")
    where = {"level": level, "images": images, "match": "parameters", "weight": 1.0}
    other = {r["seed"]: r for r in select(rows, blocks, arm=against, **where)}
    mine = {r["seed"]: r for r in select(rows, blocks, arm="hard", finished=False, **where)}
    verdicts = []
    for seed in sorted(other.keys() & mine.keys()):
        if not _done(mine[seed]):
            verdicts.append(False)
            continue
        numbers = [value(r[seed], c) for c in ("elbo", "pose_degrees") for r in (mine, other)]
        if None not in numbers:
            verdicts.append(numbers[0] > numbers[1] and numbers[2] < numbers[3])
    return all(verdicts) if verdicts else None


def curve(
    rows: Iterable[Row], arm: str, level: str = "se2", column: str = "free_energy"
) -> dict[int, dict[int, float]]:
    """{images: {seed: value}} at matched parameters, budgets rising."""
    found: dict[int, dict[int, float]] = {}
    blocks = ("budgets", "levels")
    for row in select(rows, blocks, arm=arm, level=level, match="parameters", weight=1.0):
        if value(row, column) is not None and row.get("images"):
            found.setdefault(row["images"], {})[row["seed"]] = value(row, column)
    return dict(sorted(found.items()))


def data_ratio(
    rows: Iterable[Row],
    arm: str = "hard",
    against: str = "augment",
    level: str = "se2",
    draws: int = 1000,
) -> DataRatio | None:
    """Images at which `arm` has the mean free energy of `against` at its largest budget, over that budget.

    Interpolated linearly in log(images) where the arm comes to lie at or below the target for good. None
    without two budgets of the arm.
    """
    rows = list(rows)
    mine, other = curve(rows, arm, level), curve(rows, against, level)
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


def gaps(rows: Iterable[Row], arm: str, column: str = "free_energy") -> dict[str, Gap]:
    """Gap to the best arm of each level, at its main budget and matched parameters."""
    rows, found = list(rows), {}
    for level in levels(rows):
        means = level_means(rows, level, column)
        if arm not in means:
            continue
        best = best_arm(means, column)
        amount = abs(means[arm].mean - means[best].mean)
        size = abs(means[best].mean)
        found[level] = Gap(level, arm, best, amount, 100 * amount / size if size > 0 else None)
    return found


def worst_gap(found: Mapping[str, Gap]) -> Gap | None:
    known = [gap for gap in found.values() if gap.percent is not None]
    return max(known, key=lambda gap: gap.percent) if known else None


def match_percent(rows: Iterable[Row], column: str) -> dict[tuple[str, str], float]:
    """{(level, arm): 100 (x - x_hard) / x_hard} of the rows matched by `column`, farthest of its cells.

    Args:
        rows: of the comparison; diverged cells count too, they were built all the same.
        column: "parameters" or "macs".
    """
    rows = results(rows)
    reference = {}  # the reference arm's own matched rows before its others
    for wanted in (True, False):
        for row in rows:
            if row.get("arm") == REFERENCE and (row.get("match") == column) == wanted:
                if value(row, column):
                    reference.setdefault(row.get("level"), value(row, column))
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        level, arm, size = row.get("level"), row.get("arm"), value(row, column)
        if row.get("match") == column and arm != REFERENCE and size and level in reference:
            off = 100 * (size - reference[level]) / reference[level]
            found[level, arm] = max(found.get((level, arm), 0.0), off, key=abs)
    return found


def sweeps(rows: Iterable[Row], columns: Sequence[str] = ERRORS[::2]) -> list[Sweep]:
    """Every soft arm's errors against weight; cells of weight 1 may come from the levels."""
    rows, found = list(rows), []
    cells = select(rows, ("weights",))
    for arm in in_order((r["arm"] for r in cells), ARMS):
        for level in in_order((r["level"] for r in cells if r["arm"] == arm), LEVELS):
            images = main_budget(cells, level, "weights")
            match = next(r["match"] for r in cells if r["arm"] == arm and r["level"] == level)
            where = {"arm": arm, "level": level, "images": images, "match": match}
            mine = select(rows, ("weights", "levels", "budgets"), **where)
            found += [s for c in columns if (s := _sweep(mine, arm, level, c)) is not None]
    return found


def ranks(rows: Iterable[Row], column: str = "free_energy", draws: int = 2000) -> Ranks | None:
    """Ranks of the arms over (level, seed) at the main budgets; a diverged cell ranks last.

    Arms found in fewer than half of the (level, seed) are left out, then blocks that lack an arm are. None
    below three arms or two blocks, where there is nothing to test.
    """
    rows, table = list(rows), {}
    for level in levels(rows):
        images = main_budget(rows, level)
        where = {"level": level, "images": images, "match": "parameters", "weight": 1.0}
        for row in select(rows, finished=False, **where):
            number = value(row, column) if _done(row) else None
            if number is not None or row.get("status") == "diverged":
                lost = -math.inf if column in HIGHER else math.inf
                table.setdefault((level, row["seed"]), {})[row["arm"]] = (
                    lost if number is None else number
                )
    count = Counter(arm for block in table.values() for arm in block)
    arms = in_order((arm for arm, n in count.items() if 2 * n >= len(table)), ARMS)
    full = {key: block for key, block in table.items() if all(arm in block for arm in arms)}
    if len(arms) < 3 or len(full) < 2:
        return None
    sign = -1 if column in HIGHER else 1
    matrix = np.array([[sign * block[arm] for arm in arms] for block in full.values()])
    order = stats.rankdata(matrix, axis=1)
    if (order == order[:, :1]).all():
        return None
    test = stats.friedmanchisquare(*order.T)  # of ranks: the same statistic, and safe with inf
    k, blocks = len(arms), len(full)
    q = stats.studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
    by_level = [
        order[[i for i, key in enumerate(full) if key[0] == level]].mean(0)
        for level in dict.fromkeys(key[0] for key in full)
    ]
    intervals = None
    if len(by_level) >= 3:
        random = np.random.default_rng(0)
        drawn = random.integers(len(by_level), size=(draws, len(by_level)))
        low, high = np.quantile(np.array(by_level)[drawn].mean(1), [0.025, 0.975], axis=0)
        intervals = {a: (float(low[i]), float(high[i])) for i, a in enumerate(arms)}
    means = {arm: float(m) for arm, m in zip(arms, order.mean(0), strict=True)}
    return Ranks(
        dict(sorted(means.items(), key=lambda item: item[1])),
        intervals,
        blocks,
        float(test.statistic),
        float(test.pvalue),
        float(q * math.sqrt(k * (k + 1) / (6 * blocks))),
    )


def crossing(
    rows: Iterable[Row],
    first: str = "soft_sum",
    second: str = "hard",
    along: str = "images",
    level: str = "se2",
    column: str = "free_energy",
) -> Crossing | None:
    """Differences and their sign changes, along "images" (at one level) or along "level"."""
    rows, points = list(rows), {}
    if along == "images":
        for images in curve(rows, second, level, column):
            where = {"level": level, "images": images}
            points[images] = paired(rows, first, second, column, ("budgets", "levels"), **where)
    else:
        for name in levels(rows):
            where = {"level": name, "images": main_budget(rows, name)}
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


def headline(rows: Iterable[Row], chooser: Any = None) -> dict[str, Any]:
    """The numbers that a reader asks for first; JSON-ready, None where the rows do not say.

    Args:
        rows: of a comparison.
        chooser: its `eqvae.comparison.advice.Validation`, if there is one.
    """
    rows = list(rows)
    kept, ratio = results(rows), data_ratio(rows)
    status = Counter(r.get("status") for r in kept)
    relaxed, relaxed_elbo = gaps(rows, "relaxed"), gaps(rows, "relaxed", "elbo")
    worst, worst_elbo = worst_gap(relaxed), worst_gap(relaxed_elbo)
    finished = [g["seeds"] for g in groups(rows)]
    matches = {c: match_percent(rows, c).values() for c in ("parameters", "macs")}
    budgets, by_level = crossing(rows), crossing(rows, along="level")
    return {
        "cells": len(kept),
        "seeds": len({r.get("seed") for r in kept}),
        "seeds_least": min(finished, default=0),
        "finished": status["finished"],
        "diverged": status["diverged"],
        "failed": status["failed"],
        # not reached: no number, so that none can be misread; the bound says it
        "data_ratio_to_match_plain": None if ratio is None or ratio.bound == ">" else ratio.value,
        "data_ratio_bound": f"{ratio.bound} {ratio.value:.3g}" if ratio and ratio.bound else None,
        "data_ratio_interval": _finite(ratio.interval) if ratio else None,
        "hard_wins_all_seeds_1k": hard_wins_all_seeds(rows),
        "relaxed_worst_gap_percent": worst.percent if worst else None,
        "relaxed_worst_level": worst.level if worst else None,
        "relaxed_worst_gap_percent_elbo": worst_elbo.percent if worst_elbo else None,
        "relaxed_forms_worst_gap_percent_elbo": {
            arm: gap.percent for arm in RELAXED if (gap := worst_gap(gaps(rows, arm, "elbo")))
        }
        or None,
        "hard_gap_percent": {name: gap.percent for name, gap in gaps(rows, "hard").items()} or None,
        "chooser_within_1_percent": 100 * chooser.share if chooser else None,
        "chooser_floor_percent": 100 * chooser.always[chooser.constant] if chooser else None,
        "chooser_floor_arm": chooser.constant if chooser else None,
        "parameter_match_worst_percent": max(map(abs, matches["parameters"]), default=None),
        "mac_match_worst_percent": max(map(abs, matches["macs"]), default=None),
        "soft_beats_hard_at_images": budgets.wins if budgets else None,
        "soft_beats_hard_at_levels": by_level.wins if by_level else None,
    }


def _field(row: Row, name: str) -> Any:
    found = row.get(name)
    return float(1 if found is None else found) if name == "weight" else found


def _done(row: Row) -> bool:
    return row.get("status") == "finished"


def _finite(interval: tuple[float, float] | None) -> list[float | None] | None:
    return interval and [end if math.isfinite(end) else None for end in interval]


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


def _sweep(cells: Sequence[Row], arm: str, level: str, column: str) -> Sweep | None:
    weights = sorted({_field(r, "weight") for r in cells if value(r, column) is not None})
    if len(weights) < 2:
        return None
    here = {w: [r for r in cells if _field(r, "weight") == w] for w in weights}
    points = {w: spread(value(r, column) for r in here[w]) for w in weights}
    means = [points[w].mean for w in weights]
    constant = len(set(means)) == 1
    saturates = next(w for w in weights if points[w].mean <= 1.1 * min(means))
    one, two = (
        {r["seed"]: value(r, "free_energy") for r in here[w]} for w in (saturates, weights[0])
    )
    names = (f"weight {saturates:g}", f"weight {weights[0]:g}")
    return Sweep(
        arm,
        level,
        column,
        points,
        {
            w: s
            for w in weights
            if (s := spread(value(r, "free_energy") for r in here[w])) is not None
        },
        None if constant else float(stats.spearmanr(weights, means).statistic),
        all(b <= a for a, b in zip(means, means[1:], strict=False)),
        saturates,
        None if saturates == weights[0] else difference(one, two, *names, "free_energy"),
    )
