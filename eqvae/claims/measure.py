"""From claims to rows: every experiment over its seeds, what came of it as numbers, and its picture."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eqvae.claims.claim import VERDICTS, Claim, Measured
from eqvae.drawing.axes import new_axes


@dataclass(frozen=True)
class Row:
    """A claim with its numbers, as they are kept.

    Attributes:
        id, subject, title, claim, found, condition, command: of the claim, `claim` as it is told.
        value, floor, ceiling, control: means over the seeds, see `Measured`.
        spread: standard deviation of the value over the seeds; None of one.
        bound, unit: see `Measured`.
        others: means over the seeds of the further numbers.
        verdict: of the seed that speaks most against the claim.
        seeds: number of them.
        seconds: of all seeds together.
    """

    id: str
    subject: str
    title: str
    claim: str
    found: str
    condition: str
    command: str
    value: float
    spread: float | None
    floor: float | None
    ceiling: float | None
    control: float
    bound: float
    unit: str
    others: Mapping[str, float]
    verdict: str
    seeds: int
    seconds: float

    @property
    def file(self) -> str:
        """Name of its picture."""
        return f"{self.id.replace('/', '_')}.png"

    def retold(self, claim: Claim) -> "Row":
        """The same numbers below the words that the claim has now."""
        return replace(self, **_words(claim))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measured_row(claim: Claim, seeds: Sequence[int]) -> tuple[Row, Figure | None]:
    """The experiment of a claim over its first seeds, and the picture of the first."""
    begin = time.perf_counter()
    found = [claim.measure(seed) for seed in seeds[: claim.repeats]]
    seconds = time.perf_counter() - begin
    values = [one.value for one in found]
    verdicts = [claim.verdict(one) for one in found]
    row = Row(
        **_words(claim),
        value=float(np.mean(values)),
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        floor=_mean([one.floor for one in found]),
        ceiling=_mean([one.ceiling for one in found]),
        control=float(np.mean([one.control for one in found])),
        bound=found[0].bound,
        unit=found[0].unit,
        others={name: float(np.mean([m.others[name] for m in found])) for name in found[0].others},
        verdict=max(verdicts, key=VERDICTS.index),
        seeds=len(found),
        seconds=round(seconds, 2),
    )
    return row, _figure(found[0])


def _words(claim: Claim) -> dict[str, str]:
    same = ("id", "subject", "title", "found", "condition", "command")
    return {key: getattr(claim, key) for key in same} | {"claim": claim.told}


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None


def _figure(measured: Measured) -> Figure | None:
    if measured.draw is None:
        return None
    figure, axes = new_axes(5.2, 2.9)
    measured.draw(axes)
    return figure
