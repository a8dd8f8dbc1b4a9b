"""What the rows have to reach, beside what they did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """A number that a row has to stay below, or above.

    Attributes:
        what: it is about.
        row: id of the claim.
        key: of `others`, or "value", "control".
        bound: of the number.
        above: whether it has to be at least `bound`; else at most.
    """

    what: str
    row: str
    key: str
    bound: float
    above: bool = False

    def told(self, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The target with what was found, None where the row was not measured."""
        row = rows.get(self.row)
        found = None if row is None else row.get(self.key, row["others"].get(self.key))
        met = None
        if found is not None:
            met = found >= self.bound if self.above else found <= self.bound
        sign = ">=" if self.above else "<="
        target = f"{self.key} {sign} {self.bound:g}"
        return {"what": self.what, "row": self.row, "target": target, "found": found, "met": met}


TARGETS: tuple[Target, ...] = ()


def targets(rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every target with what was found, for rows by id."""
    return [target.told(rows) for target in TARGETS]
