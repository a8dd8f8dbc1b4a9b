"""What a suite of an evaluation finds: scores, and the figures that go with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.score import Score


@dataclass
class Findings:
    """What a suite found.

    Attributes:
        scores: by name within the suite.
        figures: matplotlib figures or PIL images, by caption.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


Suite = Callable[[HeldOut], Findings]


def picked(values: Any, rows: Any) -> Any:
    """Some rows of what may be unknown: None where it is."""
    return None if values is None else values[rows]
