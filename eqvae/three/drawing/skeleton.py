"""What is drawn of structures of one topology: which of their atoms, and which bonds between them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from eqvae.three.drawing.flat import bonds_of
from eqvae.three.structures.elements import AMINO_ACIDS, NUCLEOTIDES
from eqvae.three.structures.structures import Structures

_MOST = 400  # atoms, of which all are drawn: of more the trace says more


@dataclass(frozen=True)
class Skeleton:
    """Atoms and bonds that are drawn, the same in every conformation.

    Attributes:
        atoms: numbers of the atoms that are drawn, (K,) int64.
        elements: their symbols.
        bonds: pairs of them, (M, 2), counted among these K.
    """

    atoms: Tensor
    elements: tuple[str, ...]
    bonds: Tensor

    @classmethod
    def of(cls, structures: Structures) -> Self:
        """Bonds of the first conformation; of more than 400 atoms only the trace of their chains.

        The trace is made of alpha carbons and phosphorus; without names of atoms all are drawn.
        """
        atoms = torch.arange(structures.num_atoms)
        if structures.num_atoms > _MOST and structures.names:
            rows = [i for i, atom in enumerate(_described(structures)) if _in_trace(*atom)]
            atoms = torch.tensor(rows) if len(rows) > 2 else atoms
        kept = structures.atoms(atoms)
        return cls(atoms, kept.elements, bonds_of(kept.positions[0], kept.elements, kept.chains))

    @classmethod
    def chain(cls, num_atoms: int) -> Self:
        """Of atoms that nothing is known about: each is bound to the next one."""
        row = torch.arange(num_atoms)
        return cls(row, ("C",) * num_atoms, torch.stack([row[:-1], row[1:]], dim=1))

    def __call__(self, positions: Tensor) -> Tensor:
        """What is drawn of structures (..., N, 3), on the CPU."""
        return positions.detach().cpu()[..., self.atoms, :]


def _described(structures: Structures):
    residues = structures.residue_names or (None,) * structures.num_atoms
    return zip(structures.names, structures.elements, residues, strict=True)


def _in_trace(name: str, element: str, residue: str | None) -> bool:
    if (name, element) == ("CA", "C"):
        return residue is None or residue in AMINO_ACIDS
    return (name, element) == ("P", "P") and (residue is None or residue in NUCLEOTIDES)
