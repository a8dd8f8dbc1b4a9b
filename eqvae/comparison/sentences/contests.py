"""Sentences on penalties that the data fight against."""

from collections.abc import Sequence

from eqvae.comparison.summary import Row
from eqvae.comparison.summary.rows import field_of, is_finished, value
from eqvae.losses.contest import fights


def contests(rows: Sequence[Row]) -> list[str]:
    """Where the gradient of a penalty points against that of the task, as means over seeds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        cosine = value(row, "grad_cosine")
        if cosine is not None and is_finished(row) and field_of(row, "weight") == 1:
            found.setdefault(f"At {row['scenario']}, {row['arm']}", []).append(cosine)
    return fights(found)
