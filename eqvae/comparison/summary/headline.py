"""The numbers that a reader asks for first."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from eqvae.comparison.arms import of_kind
from eqvae.comparison.summary.budgets import crossing, data_ratio, hard_wins_all_seeds
from eqvae.comparison.summary.choose import groups, results
from eqvae.comparison.summary.fairness import match_percent
from eqvae.comparison.summary.rows import Row
from eqvae.comparison.summary.scenarios import gaps, worst_gap


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
    budgets, by_scenario = crossing(rows), crossing(rows, along="scenario")
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
        "relaxed_worst_scenario": worst.scenario if worst else None,
        "relaxed_worst_gap_percent_elbo": worst_elbo.percent if worst_elbo else None,
        "relaxed_forms_worst_gap_percent_elbo": {
            arm: gap.percent
            for arm in of_kind("relaxed")
            if (gap := worst_gap(gaps(rows, arm, "elbo")))
        }
        or None,
        "hard_gap_percent": {name: gap.percent for name, gap in gaps(rows, "hard").items()} or None,
        "chooser_within_1_percent": 100 * chooser.share if chooser else None,
        "chooser_floor_percent": 100 * chooser.always[chooser.constant] if chooser else None,
        "chooser_floor_arm": chooser.constant if chooser else None,
        "parameter_match_worst_percent": max(map(abs, matches["parameters"]), default=None),
        "mac_match_worst_percent": max(map(abs, matches["macs"]), default=None),
        "soft_beats_hard_at_images": budgets.wins if budgets else None,
        "soft_beats_hard_at_scenarios": by_scenario.wins if by_scenario else None,
    }


def _finite(interval: tuple[float, float] | None) -> list[float | None] | None:
    return interval and [end if math.isfinite(end) else None for end in interval]
