"""What a finished comparison says, as pure functions on its rows (one dict a cell and seed).

Free energy F = -ELBO without the likelihood's constant (nats, lower is better). Arms are compared in one
scenario, at one budget and match, paired by seed. Learning-rate trials (block "tuning") never enter. What the
rows do not hold is None.
"""

from eqvae.comparison.summary.budgets import (
    Crossing,
    DataRatio,
    crossing,
    curve,
    data_ratio,
    hard_wins_all_seeds,
)
from eqvae.comparison.summary.choose import groups, results, select
from eqvae.comparison.summary.fairness import match_percent
from eqvae.comparison.summary.headline import headline
from eqvae.comparison.summary.order import in_order, sort_arms, sort_scenarios
from eqvae.comparison.summary.pairs import Paired, difference, paired
from eqvae.comparison.summary.ranks import Ranks, ranks
from eqvae.comparison.summary.rows import REFERENCE, Row, Spread, spread, value
from eqvae.comparison.summary.scenarios import (
    Gap,
    best_arm,
    gaps,
    main_budget,
    scenario_means,
    scenarios,
    worst_gap,
)
from eqvae.comparison.summary.sweeps import Sweep, sweeps

__all__ = [
    "REFERENCE",
    "Crossing",
    "DataRatio",
    "Gap",
    "Paired",
    "Ranks",
    "Row",
    "Spread",
    "Sweep",
    "best_arm",
    "crossing",
    "curve",
    "data_ratio",
    "difference",
    "gaps",
    "groups",
    "hard_wins_all_seeds",
    "headline",
    "in_order",
    "main_budget",
    "match_percent",
    "paired",
    "ranks",
    "results",
    "scenario_means",
    "scenarios",
    "select",
    "sort_arms",
    "sort_scenarios",
    "spread",
    "sweeps",
    "value",
    "worst_gap",
]
