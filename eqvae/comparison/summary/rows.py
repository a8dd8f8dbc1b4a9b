"""Rows of a comparison, one dict a cell and seed: which of them count, and their means over seeds.

Learning-rate trials (block "tuning") never do. What the rows do not hold is None.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eqvae.comparison.arms import arms

Row = Mapping[str, Any]

SCENARIOS = ("se2", "limited", "upright", "broken", "stretched", "lit", "nuclei", "galaxies")
GROUP = ("block", "arm", "scenario", "images", "match", "weight")
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


def value(row: Row, column: str) -> float | None:
    """A finite number of a row, else None."""
    found = row.get(column)
    if found is None or isinstance(found, str) or not math.isfinite(found):
        return None
    return float(found)


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are known; None if none is."""
    known = [v for v in values if v is not None]
    if not known:
        return None
    std = statistics.stdev(known) if len(known) > 1 else None
    return Spread(statistics.fmean(known), std, len(known))


def in_order(names: Iterable[Any], known: Sequence[Any]) -> list[Any]:
    """Unique names in the order of `known`, unknown ones behind in their own order."""
    place = {name: i for i, name in enumerate(known)}
    return sorted(dict.fromkeys(names), key=lambda n: place.get(n, len(place)))


def sort_arms(names: Iterable[str]) -> list[str]:
    """Unique names of arms in the order that their files give, unknown ones behind."""
    return in_order(names, list(arms()))


def sort_scenarios(names: Iterable[str]) -> list[str]:
    """Unique names of scenarios in their usual order, unknown ones behind."""
    return in_order(names, SCENARIOS)


def results(rows: Iterable[Row]) -> list[Row]:
    """Rows that count: no tuning, and the last row where a cell and seed was run again."""
    found = {}
    for row in rows:
        if row.get("block") != "tuning":
            found[tuple(field_of(row, name) for name in (*GROUP, "seed"))] = row
    return list(found.values())


def select(
    rows: Iterable[Row],
    blocks: Sequence[str] = ("scenarios",),
    *,
    finished: bool = True,
    **where: Any,
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
            if all(field_of(row, name) == wanted for name, wanted in where.items()):
                found[tuple(field_of(row, name) for name in (*GROUP[1:], "seed"))] = row
    if where.get("match") == "macs" and all(r.get("arm") != REFERENCE for r in found.values()):
        if where.get("arm", REFERENCE) == REFERENCE:
            own = select(
                rows,
                ("macs", "scenarios"),
                finished=finished,
                **where | {"arm": REFERENCE, "match": "parameters"},
            )
            return [*(r for r in found.values() if not finished or is_finished(r)), *own]
    return [row for row in found.values() if not finished or is_finished(row)]


def groups(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One dict per (block, arm, scenario, images, match, weight): seeds, statuses, a Spread per measure."""
    together: dict[tuple, list[Row]] = {}
    for row in results(rows):
        together.setdefault(tuple(field_of(row, name) for name in GROUP), []).append(row)
    found = []
    for key, members in together.items():
        done = [row for row in members if is_finished(row)]
        count = Counter(row.get("status") for row in members)
        found.append(
            dict(zip(GROUP, key, strict=True))
            | {"seeds": len(done), "diverged": count["diverged"], "failed": count["failed"]}
            | {name: spread(value(row, name) for row in done) for name in MEASURES + COSTS}
        )
    return found


def field_of(row: Row, name: str) -> Any:
    """The value that a cell is told apart by; a row without a weight has weight 1."""
    found = row.get(name)
    return float(1 if found is None else found) if name == "weight" else found


def is_finished(row: Row) -> bool:
    """Whether the cell was trained to its end."""
    return row.get("status") == "finished"
