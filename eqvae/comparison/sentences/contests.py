"""Sentences on penalties that the data fight against."""

from collections.abc import Sequence
from statistics import fmean

from eqvae.comparison.summary import Row
from eqvae.comparison.summary.rows import field_of, is_finished, value
from eqvae.losses.contest import WRONG


def contests(rows: Sequence[Row]) -> list[str]:
    """Where the gradient of a penalty points against that of the task, as means over seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        cosine = value(row, "grad_cosine")
        if cosine is not None and is_finished(row) and field_of(row, "weight") == 1:
            found.setdefault((row["arm"], row["scenario"]), []).append(cosine)
    means = {where: fmean(values) for where, values in found.items()}
    return [
        f"At {scenario}, {arm} fights the task: gradients at cosine {cosine:.2f}; the data may not have this "
        "symmetry, or the representation is wrong."
        for (arm, scenario), cosine in means.items()
        if cosine < WRONG
    ]
