"""What a claim is: a sentence as it is told, an experiment, and what the numbers make of the sentence.

Every file of `eqvae.claims.rows` adds its own: a function below `claim(...)` that takes a seed and returns a
`Measured`. A verdict is never written down, it follows from what was measured:

    not shown               the control, which must fail, did not: the experiment says nothing
    holds                   as it is told
    holds with a condition  not as it is told, but under `condition`
    false as told           neither
"""

import importlib
import importlib.util
import math
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes

HOLDS, CONDITION, FALSE, NOT_SHOWN = VERDICTS = (
    "holds",
    "holds with a condition",
    "false as told",
    "not shown",
)


@dataclass(frozen=True)
class Measured:
    """What an experiment found.

    Attributes:
        value: the number that decides, such as a relative error; smaller is better.
        bound: what `value` has to stay below to be called small; a control has to be above it.
        control: the same number of a part that must fail.
        holds: whether the sentence is right as it is told.
        holds_if: whether it is right under the claim's condition.
        floor: what the test itself costs, such as one resampling.
        ceiling: the number at chance, or without any symmetry.
        unit: of the number.
        others: further numbers by name.
        draw: a picture of it, on one pair of axes.
    """

    value: float
    bound: float
    control: float
    holds: bool
    holds_if: bool = False
    floor: float | None = None
    ceiling: float | None = None
    unit: str = "relative error"
    others: Mapping[str, float] = field(default_factory=dict)
    draw: Callable[[Axes], None] | None = None

    def __post_init__(self) -> None:
        numbers = {"value": self.value, "control": self.control, "bound": self.bound}
        for name, number in (numbers | dict(self.others)).items():
            if not math.isfinite(number):
                raise ValueError(f"{name} of a claim must be a finite number; got {number}.")

    @property
    def control_fails(self) -> bool:
        """Whether the control is as bad as it has to be."""
        return self.control > self.bound


@dataclass(frozen=True)
class Claim:
    """A sentence about equivariance, and how it is measured.

    Attributes:
        id: short, unique, such as "16" or "three/angular_momentum".
        subject: heading of the page that it stands below.
        title: what it is about, a few words.
        told: the claim, one sentence.
        found: what it means and what the experiment does, two sentences.
        condition: under which it holds, where it does not hold as it is told; else "".
        measure: seed -> `Measured`.
        repeats: seeds that it is measured with at most; 1 for what trains for long.
        needs: packages of extras that it is measured with, of those in `EXTRAS`.
    """

    id: str
    subject: str
    title: str
    told: str
    found: str
    condition: str
    measure: Callable[[int], Measured]
    repeats: int = 3
    needs: tuple[str, ...] = ()

    def verdict(self, measured: Measured) -> str:
        """What the numbers make of the sentence."""
        if not measured.control_fails:
            return NOT_SHOWN
        if measured.holds:
            return HOLDS
        return CONDITION if measured.holds_if and self.condition else FALSE

    @property
    def command(self) -> str:
        """Which measures this row alone."""
        return f"python scripts/lens.py rows=[{self.id}]"

    @property
    def missing(self) -> str:
        """How to get what it needs and is not installed, "" if nothing is missing."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        extras = ",".join(dict.fromkeys(EXTRAS[name] for name in absent))
        return f'{", ".join(absent)}: pip install "eqvae[{extras}]"' if absent else ""


SUBJECTS = (  # in the order of the page; others follow
    "Principles",
    "Layers",
    "Pooling, dropout, dilation",
    "Sampling",
    "Lattices",
    "Scale",
    "Latents",
    "Built in, or asked for",
    "Counting and recovering maps",
    "Physics",
    "Irreps of space",
    "Poses in space",
    "Structures",
    "Energies and forces",
)
EXTRAS = {  # by package the extra that brings it
    "e3nn": "three",
    "ase": "molecules",
    "biotite": "molecules",
    "tblite": "molecules",
}
_CLAIMS: dict[str, Claim] = {}


def claim(
    id: str,
    *,
    subject: str,
    title: str,
    told: str,
    found: str,
    condition: str = "",
    repeats: int = 3,
    needs: str | Sequence[str] = (),
) -> Callable[[Callable[[int], Measured]], Callable[[int], Measured]]:
    """Register the function below as the experiment of a claim, see `Claim`.

    What it `needs` is imported inside the function: without it the row is left out, and the command says so.

    Raises:
        ValueError: if the id is taken, or a package that it needs is of no extra.
    """
    needs = (needs,) if isinstance(needs, str) else tuple(needs)
    unknown = [name for name in needs if name not in EXTRAS]
    if unknown:
        raise ValueError(f"needs of a claim must be of {', '.join(EXTRAS)}; got {unknown[0]!r}.")

    def register(measure: Callable[[int], Measured]) -> Callable[[int], Measured]:
        taken = _CLAIMS.get(id)
        if taken is not None and taken.measure.__qualname__ != measure.__qualname__:
            raise ValueError(f"id of a claim must be its own; {id!r} is {taken.title!r} already.")
        _CLAIMS[id] = Claim(id, subject, title, told, found, condition, measure, repeats, needs)
        return measure

    return register


def all_claims() -> dict[str, Claim]:
    """Every claim by id, in the order of the page: by subject, then by the number in its id."""
    rows = importlib.import_module("eqvae.claims.rows")  # which import this file
    for module in sorted(m.name for m in pkgutil.iter_modules(rows.__path__)):
        importlib.import_module(f"{rows.__name__}.{module}")

    def place(claim: Claim) -> tuple[int, int, str]:
        known = SUBJECTS.index(claim.subject) if claim.subject in SUBJECTS else len(SUBJECTS)
        number = re.match(r"\d+", claim.id)
        return known, int(number[0]) if number else 0, claim.id

    return {claim.id: claim for claim in sorted(_CLAIMS.values(), key=place)}
