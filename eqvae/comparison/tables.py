"""The tables of the page: a row for each arm, one table for each scenario, budget and match of a block."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eqvae.comparison import summary
from eqvae.comparison.summary import Row, Spread
from eqvae.evaluation.report import number

COLUMNS = {  # measure: (heading, factor)
    "elbo": ("ELBO \u2191 (nats)", 1),
    "free_energy": ("free energy \u2193 (nats)", 1),
    "iwae": ("IWAE \u2191 (nats)", 1),
    "squared_error": ("squared error \u2193", 1),
    "kl": ("KL (nats)", 1),
    "encoder_error": ("encoder error \u2193", 1),
    "encoder_shift_error": ("encoder error, shift \u2193", 1),
    "decoder_error": ("decoder error \u2193", 1),
    "pose_degrees": ("pose \u2193 (\u00b0)", 1),
    "shift_px": ("shift \u2193 (px)", 1),
    "leak_r2": ("leak R\u00b2 \u2193", 1),
    "clustering": ("clustering \u2191", 1),
    "dial": ("residual", 1),
    "seconds": ("training, processor (s)", 1),
    "wall_seconds": ("wall (s)", 1),
    "macs": ("MACs (M)", 1e-6),
    "parameters": ("parameters (k)", 1e-3),
}
BLOCKS = {
    "scenarios": "Scenarios at the main budget",
    "budgets": "Training images",
    "arms": "Every arm",
    "weights": "Weights of the soft penalties",
    "macs": "Matched MACs",
}


@dataclass(frozen=True)
class Table:
    """Arms (and weights) of one block, scenario, budget and match; `best` is the arm clear of the next."""

    title: str
    block: str
    columns: list[str]
    groups: list[dict[str, Any]]
    best: str | None


def tables(rows: Iterable[Row]) -> list[Table]:
    """One table per block, scenario, budget and match, arms in their usual order."""
    rows = list(rows)
    together: dict[tuple, list[dict[str, Any]]] = {}
    for group in summary.groups(rows):
        key = tuple(group[name] for name in ("block", "scenario", "images", "match"))
        together.setdefault(key, []).append(group)
    blocks = summary.in_order((key[0] for key in together), list(BLOCKS))
    known = summary.sort_scenarios(key[1] for key in together)

    def place(key: tuple) -> tuple:
        return blocks.index(key[0]), known.index(key[1]), key[2] or 0, str(key[3])

    found = []
    for key in sorted(together, key=place):
        block, scenario, images, match = key
        arms = summary.sort_arms(g["arm"] for g in together[key])
        groups = sorted(together[key], key=lambda g: (arms.index(g["arm"]), g["weight"]))
        columns = [c for c in COLUMNS if any(g[c] is not None for g in groups)]
        size = f"{images:,} images" if images is not None else "images not known"
        matched = "nothing matched" if match == "none" else f"{match} matched"
        best = _clear(rows, groups, key) if block != "weights" else None
        found.append(Table(f"{scenario}, {size}, {matched}", block, columns, groups, best))
    return found


def match_table(rows: Iterable[Row]) -> list[tuple[str, str, list[str], list[tuple[str, list]]]]:
    """(column, reference, scenarios, [(arm, per cent off at each scenario)]) for parameters and MACs."""
    rows, found = list(rows), []
    for column in ("parameters", "macs"):
        off = summary.match_percent(rows, column)
        scenarios = summary.sort_scenarios(scenario for scenario, _ in off)
        arms = summary.sort_arms(arm for _, arm in off)
        if off:
            lines = [(arm, [off.get((scenario, arm)) for scenario in scenarios]) for arm in arms]
            found.append((column, summary.REFERENCE, scenarios, lines))
    return found


def plus_minus(spread: Spread | None, factor: float = 1) -> str:
    """Mean +- std, the mean to as many digits as the std has meaning."""
    if spread is None:
        return "\u2013"
    mean, std = spread.mean * factor, (spread.std or 0.0) * factor
    if spread.std is None or std < 1e-9 or 0 < abs(mean) < 1e-3:
        return number(mean) + (f" \u00b1 {number(std)}" if spread.std is not None else "")
    digits = min(max(0, 1 - math.floor(math.log10(std))), 4)
    return f"{mean:,.{digits}f} \u00b1 {std:,.{digits}f}".replace("-", "\u2212")


def _clear(rows: Sequence[Row], groups: Sequence[Mapping[str, Any]], key: tuple) -> str | None:
    """The arm with the lowest free energy, if its paired interval against the next one excludes 0."""
    block, scenario, images, match = key
    known = [g for g in groups if g["free_energy"] is not None]
    if len(known) < 2:
        return None
    best, second = sorted(known, key=lambda g: g["free_energy"].mean)[:2]
    where = {"scenario": scenario, "images": images, "match": match}
    pair = summary.paired(rows, best["arm"], second["arm"], blocks=(block,), **where)
    return best["arm"] if pair is not None and pair.separable else None
