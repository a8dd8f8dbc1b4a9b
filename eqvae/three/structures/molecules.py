"""Small molecules that packages bring along: those of the G2 set, and the PDB's chemical components."""

from collections.abc import Sequence

import torch

from eqvae.three.structures.elements import symbol
from eqvae.three.structures.structures import Structures

_WAY = 'pip install "eqvae[molecules]"'


def g2_molecules(names: Sequence[str] | None = None) -> dict[str, Structures]:
    """Molecules of the G2 set by name, such as "C6H6", from the package ase.

    Args:
        names: which; None for all 162.

    Raises:
        ImportError: if ase is not installed.
        ValueError: if there is no molecule of that name.
    """
    try:
        from ase.build import molecule
        from ase.collections import g2
    except ImportError:
        raise ImportError(f"the G2 molecules come with ase: {_WAY}.") from None
    chosen = list(g2.names if names is None else names)
    unknown = [name for name in chosen if name not in g2.names]
    if unknown:
        raise ValueError(f"names must be molecules of the G2 set; got {unknown[0]!r}.")
    made = {name: molecule(name) for name in chosen}
    return {
        name: Structures(
            torch.from_numpy(atoms.get_positions())[None].double(),
            tuple(atoms.get_chemical_symbols()),
            source=name,
        )
        for name, atoms in made.items()
    }


def chemical_component(code: str) -> Structures:
    """A component of the PDB's dictionary, such as "ATP", in its ideal conformation, from biotite.

    Raises:
        ImportError: if biotite is not installed.
        ValueError: if there is no such component, or it has no places.
    """
    try:
        from biotite.structure.info import residue
    except ImportError:
        raise ImportError(f"the chemical components come with biotite: {_WAY}.") from None
    try:
        atoms = residue(code)
    except KeyError:
        raise ValueError(
            f"code must be a component of the PDB's dictionary; got {code!r}."
        ) from None
    return Structures(
        torch.from_numpy(atoms.coord)[None].double(),
        tuple(symbol(str(one)) or "C" for one in atoms.element),
        names=tuple(map(str, atoms.atom_name)),
        residue_names=(code,) * len(atoms),
        residue_ids=("1",) * len(atoms),
        chains=("A",) * len(atoms),
        source=code,
    )
