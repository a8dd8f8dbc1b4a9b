"""The arms side by side in each scenario, at its main budget of images."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eqvae.comparison.summary.choose import results, select
from eqvae.comparison.summary.order import sort_arms, sort_scenarios
from eqvae.comparison.summary.rows import HIGHER, Row, Spread, spread, value


@dataclass(frozen=True)
class Gap:
    """How far an arm's mean lies behind the best arm's at one scenario (0 if it is the best)."""

    scenario: str
    arm: str
    best: str
    amount: float
    percent: float | None


def main_budget(rows: Iterable[Row], scenario: str, block: str = "scenarios") -> int | None:
    """The number of images that most cells of a scenario have in a block; the larger of two as common."""
    found = Counter(
        r["images"]
        for r in results(rows)
        if r.get("block") == block and r.get("scenario") == scenario and r.get("images") is not None
    )
    return max(found, key=lambda images: (found[images], images)) if found else None


def scenarios(rows: Iterable[Row], block: str = "scenarios") -> list[str]:
    """The scenarios of a block in their usual order."""
    found = (r["scenario"] for r in results(rows) if r.get("block") == block and r.get("scenario"))
    return sort_scenarios(found)


def scenario_means(
    rows: Iterable[Row], scenario: str, column: str = "free_energy", match: str = "parameters"
) -> dict[str, Spread]:
    """Spread of every arm at a scenario's main budget, arms in their usual order."""
    rows, block = list(rows), "macs" if match == "macs" else "scenarios"
    images = main_budget(rows, scenario, block)
    cells = select(rows, (block,), scenario=scenario, images=images, match=match, weight=1.0)
    arms = sort_arms(r["arm"] for r in cells)
    found = {arm: spread(value(r, column) for r in cells if r["arm"] == arm) for arm in arms}
    return {arm: s for arm, s in found.items() if s is not None}


def best_arm(means: Mapping[str, Spread], column: str = "free_energy") -> str | None:
    """The arm with the best mean; None without any."""
    choose = max if column in HIGHER else min
    return choose(means, key=lambda arm: means[arm].mean) if means else None


def gaps(rows: Iterable[Row], arm: str, column: str = "free_energy") -> dict[str, Gap]:
    """Gap to the best arm of each scenario, at its main budget and matched parameters."""
    rows, found = list(rows), {}
    for scenario in scenarios(rows):
        means = scenario_means(rows, scenario, column)
        if arm not in means:
            continue
        best = best_arm(means, column)
        amount = abs(means[arm].mean - means[best].mean)
        size = abs(means[best].mean)
        found[scenario] = Gap(
            scenario, arm, best, amount, 100 * amount / size if size > 0 else None
        )
    return found


def worst_gap(found: Mapping[str, Gap]) -> Gap | None:
    """The largest gap in per cent; None where none is known."""
    known = [gap for gap in found.values() if gap.percent is not None]
    return max(known, key=lambda gap: gap.percent) if known else None
