"""PSF files of CHARMM and NAMD: which atoms a trajectory is of."""

from dataclasses import dataclass
from pathlib import Path

from eqvae.three.structures.elements import symbol_of_mass, symbol_of_name
from eqvae.three.structures.lines import lines_of


@dataclass(frozen=True)
class Topology:
    """Names of N atoms, as in `Structures`."""

    elements: tuple[str, ...]
    names: tuple[str, ...]
    residue_names: tuple[str, ...]
    residue_ids: tuple[str, ...]
    chains: tuple[str, ...]


def read_psf(path: Path) -> Topology:
    """The atoms of a file: an element is the one that the atom's mass says, or else its name.

    Raises:
        ValueError: if it is no PSF file, or a line can't be read.
    """
    lines = lines_of(path)
    head = next((i for i, line in enumerate(lines) if "!NATOM" in line), None)
    if not lines or not lines[0].startswith("PSF") or head is None:
        raise ValueError(
            f"{path} is no PSF file: it must begin with PSF and have a section !NATOM."
        )
    count = lines[head].split()[0]
    if not count.isdecimal() or len(lines) <= head + int(count):
        raise ValueError(
            f"{path} must list the {count} atoms that its section !NATOM says; it ends before. Write it anew."
        )
    rows = [_atom(path, head + 2 + i, lines[head + 1 + i]) for i in range(int(count))]
    if not rows:
        raise ValueError(f"{path} lists no atoms.")
    return Topology(*zip(*rows, strict=True))


def _atom(path: Path, number: int, line: str) -> tuple[str, str, str, str, str]:
    """The fields of a line in the order of `Topology`; a segment without a name leaves its word out."""
    words = line.split()
    if len(words) > 2 and not words[2].lstrip("-")[:1].isdigit():
        words.insert(1, "")  # where the number of the residue should be is its name
    try:
        _, segment, residue_id, residue, name, _, _, mass = words[:8]
        element = symbol_of_mass(float(mass)) or symbol_of_name(name, residue)
    except ValueError:
        raise ValueError(
            f"line {number} of {path} must be an atom: number, segment, residue number, residue, name, type, "
            f"charge, mass; got {line[:80]!r}."
        ) from None
    if element is None:
        raise ValueError(
            f"the element of atom {name!r} in line {number} of {path} is not known: neither its mass {mass} "
            "nor its name says one. Give a PDB file as topology."
        )
    return element, name, residue, residue_id, segment
