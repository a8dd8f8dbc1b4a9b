"""The same atoms in one or many conformations: what readers give and everyone else takes."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Structures:
    """F conformations of N atoms.

    Attributes:
        positions: (F, N, 3) in float64, Angstrom.
        elements: chemical symbol of each atom, "C", "N", ..., N of them.
        names: name of each atom in its residue, such as "CA"; None where not known.
        residue_names: such as "ALA", N of them; None where not known.
        residue_ids: number of each atom's residue with its insertion code, such as "52A"; None where
            not known.
        chains: chain of each atom; None where not known.
        source: what they were read from, for messages.
        said: sentences about what was chosen in reading them.

    Raises:
        ValueError: if the shapes differ, a position is not finite or there is no atom.
    """

    positions: Tensor
    elements: tuple[str, ...]
    names: tuple[str, ...] | None = None
    residue_names: tuple[str, ...] | None = None
    residue_ids: tuple[str, ...] | None = None
    chains: tuple[str, ...] | None = None
    source: str = "structures"
    said: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.positions.shape)
        if len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(
                f"positions of {self.source} must be (conformations, atoms, 3), none of them 0; got {shape}."
            )
        if not bool(self.positions.isfinite().all()):
            bad = (~self.positions.isfinite().all(-1)).nonzero() + 1
            raise ValueError(
                f"positions of {self.source} must be finite numbers; got NaN or infinity, first at atom "
                f"{int(bad[0, 1])} of conformation {int(bad[0, 0])}, {len(bad)} in all. Leave these "
                "conformations or atoms out."
            )
        for name in ("elements", "names", "residue_names", "residue_ids", "chains"):
            value = getattr(self, name)
            if value is not None and len(value) != shape[1]:
                raise ValueError(
                    f"{name} of {self.source} must name each of the {shape[1]} atoms; got {len(value)}."
                )

    @property
    def num_atoms(self) -> int:
        return self.positions.shape[1]

    def __len__(self) -> int:
        """Number of conformations."""
        return len(self.positions)

    def __getitem__(self, frames: Any) -> "Structures":
        """Some of the conformations: a slice, a mask or an index tensor."""
        return replace(self, positions=self.positions[frames])

    def saying(self, *sentences: str) -> "Structures":
        """The same with further sentences about them; empty ones don't count."""
        return replace(self, said=(*self.said, *(one for one in sentences if one)))

    def of_chains(self, chains: str) -> "Structures":
        """The atoms of these chains, a letter each, such as "AB".

        Raises:
            ValueError: if one of them has no atom.
        """
        known = sorted(set(self.chains or ()))
        missing = [chain for chain in chains if chain not in known]
        if missing or not chains:
            raise ValueError(
                f"chains must be letters of chains in {self.source}, which has {', '.join(known) or 'none'}; "
                f"got {chains!r}."
            )
        return self.atoms(torch.tensor([chain in chains for chain in self.chains]))

    def of_residues(self, *names: str, without: bool = False) -> "Structures":
        """The atoms of residues of these names, or all others.

        Raises:
            ValueError: if there is none.
        """
        known = self.residue_names or ("",) * self.num_atoms
        chosen = torch.tensor([(name in names) != without for name in known])
        if not bool(chosen.any()):
            raise ValueError(
                f"residues of {self.source} must leave some atoms; {'without' if without else 'with'} "
                f"{', '.join(names) or 'no name'} none is left."
            )
        return self.atoms(chosen)

    def atoms(self, chosen: Tensor) -> "Structures":
        """Some of the atoms, by a mask (N,) or by their numbers."""
        rows = torch.arange(self.num_atoms)[chosen].tolist()

        def of(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[i] for i in rows)

        return replace(
            self,
            positions=self.positions[:, rows],
            elements=of(self.elements),
            names=of(self.names),
            residue_names=of(self.residue_names),
            residue_ids=of(self.residue_ids),
            chains=of(self.chains),
        )

    def named(self, name: str) -> "Structures":
        """The atoms of one name, such as "CA".

        Raises:
            ValueError: if there are none, or names are not known.
        """
        chosen = torch.tensor([each == name for each in self.names or ()], dtype=torch.bool)
        if not bool(chosen.any()):
            known = ", ".join(sorted(set(self.names or ()))[:8]) or "none"
            raise ValueError(
                f"name must be an atom's name in {self.source}; got {name!r}, it has {known}."
            )
        return self.atoms(chosen)
