"""Mean ranks of the arms over scenarios and seeds."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from eqvae.comparison.summary.choose import select
from eqvae.comparison.summary.order import sort_arms
from eqvae.comparison.summary.rows import HIGHER, Row, is_finished, value
from eqvae.comparison.summary.scenarios import main_budget, scenarios


@dataclass(frozen=True)
class Ranks:
    """Mean ranks (1 is best) over (scenario, seed), Friedman's test and Nemenyi's critical difference.

    CD = q_{0.05}(k, inf) / sqrt(2) * sqrt(k (k + 1) / (6 N)) for k arms and N blocks. Seeds of one scenario
    are not independent, so `intervals` resample whole scenarios: the more cautious reading.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]] | None  # None below three scenarios
    blocks: int
    friedman: float
    p: float
    critical_difference: float


def ranks(rows: Iterable[Row], column: str = "free_energy", draws: int = 2000) -> Ranks | None:
    """Ranks of the arms over (scenario, seed) at the main budgets; a diverged cell ranks last.

    Arms found in fewer than half of the (scenario, seed) are left out, then blocks that lack an arm are. None
    below three arms or two blocks, where there is nothing to test.
    """
    table = _scores(rows, column)
    count = Counter(arm for block in table.values() for arm in block)
    arms = sort_arms((arm for arm, n in count.items() if 2 * n >= len(table)))
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
    by_scenario = [
        order[[i for i, key in enumerate(full) if key[0] == scenario]].mean(0)
        for scenario in dict.fromkeys(key[0] for key in full)
    ]
    intervals = None
    if len(by_scenario) >= 3:
        random = np.random.default_rng(0)
        drawn = random.integers(len(by_scenario), size=(draws, len(by_scenario)))
        low, high = np.quantile(np.array(by_scenario)[drawn].mean(1), [0.025, 0.975], axis=0)
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


def _scores(rows: Iterable[Row], column: str) -> dict[tuple[str, int], dict[str, float]]:
    """{(scenario, seed): {arm: score}} at the main budgets; infinitely bad where a cell diverged."""
    rows, table = list(rows), {}
    for scenario in scenarios(rows):
        images = main_budget(rows, scenario)
        where = {"scenario": scenario, "images": images, "match": "parameters", "weight": 1.0}
        for row in select(rows, finished=False, **where):
            number = value(row, column) if is_finished(row) else None
            if number is not None or row.get("status") == "diverged":
                lost = -math.inf if column in HIGHER else math.inf
                table.setdefault((scenario, row["seed"]), {})[row["arm"]] = (
                    lost if number is None else number
                )
    return table
