"""What a soft arm's penalties reach and cost as their weights grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

from eqvae.comparison.summary.choose import select
from eqvae.comparison.summary.order import sort_arms, sort_scenarios
from eqvae.comparison.summary.pairs import Paired, difference
from eqvae.comparison.summary.rows import ERRORS, Row, Spread, field_of, spread, value
from eqvae.comparison.summary.scenarios import main_budget


@dataclass(frozen=True)
class Sweep:
    """An equivariance error against the factor on the soft weights, means over seeds."""

    arm: str
    scenario: str
    column: str
    points: dict[float, Spread]
    energy: dict[float, Spread]  # free energy at the same weights
    spearman: float | None  # of error with weight, over means; -1 if every step lowers the error
    monotone: bool  # no step raises the mean error
    saturates_at: float  # first weight with an error within 10 % of the smallest
    price: Paired | None  # free energy there minus that at the smallest weight


def sweeps(rows: Iterable[Row], columns: Sequence[str] = ERRORS[::2]) -> list[Sweep]:
    """Every soft arm's errors against weight; cells of weight 1 may come from the scenarios."""
    rows, found = list(rows), []
    cells = select(rows, ("weights",))
    for arm in sort_arms(r["arm"] for r in cells):
        for scenario in sort_scenarios(r["scenario"] for r in cells if r["arm"] == arm):
            images = main_budget(cells, scenario, "weights")
            match = next(r["match"] for r in cells if r["arm"] == arm and r["scenario"] == scenario)
            where = {"arm": arm, "scenario": scenario, "images": images, "match": match}
            mine = select(rows, ("weights", "scenarios", "budgets"), **where)
            found += [s for c in columns if (s := _sweep(mine, arm, scenario, c)) is not None]
    return found


def _sweep(cells: Sequence[Row], arm: str, scenario: str, column: str) -> Sweep | None:
    weights = sorted({field_of(r, "weight") for r in cells if value(r, column) is not None})
    if len(weights) < 2:
        return None
    here = {w: [r for r in cells if field_of(r, "weight") == w] for w in weights}
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
        scenario,
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
