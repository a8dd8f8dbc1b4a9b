"""Rows of a comparison, one dict a cell and seed: their columns, their values, and means over seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

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


def field_of(row: Row, name: str) -> Any:
    """The value that a cell is told apart by; a row without a weight has weight 1."""
    found = row.get(name)
    return float(1 if found is None else found) if name == "weight" else found


def is_finished(row: Row) -> bool:
    """Whether the cell was trained to its end."""
    return row.get("status") == "finished"
