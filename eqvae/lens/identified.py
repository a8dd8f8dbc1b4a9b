"""What `identify` found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

NONE = "none"


@dataclass(frozen=True)
class Identified:
    """The representation that a function's outputs carry, or "none".

    Attributes:
        name: as texts of representations have it, such as "1e", "position + 4x0 + 2x1" or "regular of C8"; or
            "none".
        group: its name.
        defect: relative error of f(g x) against rho(g) f(x) on data that were not fitted, in coordinates in
            which all directions of the outputs count alike and constants nothing; for "none" that of the
            best linear map M(g), or of what `reason` says.
        floor: what the noise of f alone gives.
        certainty: share of refits on other draws of data and elements that give the same name, before
            constants are looked at, shrunk to 1/2: (agreeing + 1) / (all + 2); 0 where noise hides
            directions that hold a signal, which the name leaves out.
        runner_up: the irrep that came closest of those refused, and its relative defect.
        alternatives: by irrep in the name, what this group (or these data) can't tell from it.
        partial: the irreps found, though they do not make up all outputs, where the name is "none".
        reason: why the name is "none"; else "".
        notes: sentences on what these data could not show.
        blocks: relative defect of each irrep.
        linear_defect: of the best affine map f(g x) = M(g) f(x) + m(g), on data that were not fitted.
        homomorphism_defect: of M(g) M(h) = M(g h).
        elements: that were tried, (M, E).
        characters: trace of each M(g), and what the name says it is (NaN for "none"), (M, 2).
        basis: rows that turn outputs into coordinates that move as named, (r, D): y @ basis.T + offset.
        offset: (r,); 0 but where outputs turn about a point that is not the origin.
        columns: by irrep the columns of the outputs that hold it, where single ones do.
        dim: number of outputs D.
        rank: number of directions they span.
        is_batched: whether f was called with all rows at once.
    """

    name: str
    group: str
    defect: float
    floor: float
    certainty: float
    runner_up: tuple[str, float]
    alternatives: Mapping[str, Sequence[str]]
    partial: str
    reason: str
    notes: Sequence[str]
    blocks: Mapping[str, float]
    linear_defect: float
    homomorphism_defect: float
    elements: Tensor = field(repr=False)
    characters: np.ndarray = field(repr=False)
    basis: Tensor = field(repr=False)
    offset: Tensor = field(repr=False)
    columns: Mapping[str, Sequence[int]]
    dim: int
    rank: int
    is_batched: bool

    def __bool__(self) -> bool:
        """Whether there is a representation."""
        return self.name != NONE

    @property
    def character_error(self) -> float:
        """Largest difference of a trace of M(g) from what the name says; NaN for "none"."""
        return float(np.abs(self.characters[:, 0] - self.characters[:, 1]).max())

    def coordinates(self, y: Tensor | np.ndarray) -> Tensor:
        """Outputs (N, D) in coordinates that move as named, (N, r)."""
        return torch.as_tensor(y).to(self.basis).reshape(len(y), -1) @ self.basis.T + self.offset

    def __str__(self) -> str:
        if not self:
            text = (
                f"none: under {self.group} {self.reason} (defect {self.defect:.2g}, noise alone "
                f"{self.floor:.2g}; certainty {self.certainty:.2f})"
            )
            return "; ".join([text, *self.notes]) + "."
        text = (
            f"{self.name}: under {self.group} the outputs move so with a defect of {self.defect:.2g} (noise "
            f"alone {self.floor:.2g}; certainty {self.certainty:.2f})"
        )
        for irrep, others in self.alternatives.items():
            text += f"; {irrep} can't be told from {', '.join(others)}"
        return "; ".join([text, *self.notes]) + "."
