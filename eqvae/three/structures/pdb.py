"""PDB files: atoms in fixed columns, in one or many models.

Reference: wwPDB, Atomic Coordinate Entry Format 3.3, https://www.wwpdb.org/documentation/file-format-content/format33
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eqvae.files import write_whole
from eqvae.three.structures.elements import AMINO_ACIDS, NUCLEOTIDES, symbol, symbol_of_name
from eqvae.three.structures.lines import lines_of
from eqvae.three.structures.structures import Structures

_BROKEN = 4.5  # Angstrom between neighbouring C-alpha: 3.8 in a chain, 2.9 at a cis bond
_WIDEST = (-999.999, 9999.999)  # what eight columns hold


@dataclass(frozen=True)
class _Atom:
    line: int
    hetero: bool
    name: str  # with its blanks
    altloc: str
    residue: str
    chain: str
    number: str
    place: tuple[float, float, float]
    occupancy: float
    element: str

    @property
    def key(self) -> tuple[str, ...]:
        return self.chain, self.number, self.residue, self.name.strip()


def read_pdb(path: Path, *, hetero: bool = True) -> Structures:
    """All models of a file.

    Where atoms have several places (altlocs), the letter with the highest occupancy, summed over a residue,
    stands for that residue, the first one among equals. `said` tells so, and where chains have gaps.

    Args:
        path: of the file, .gz or not.
        hetero: whether HETATM records count: ligands, ions, water.

    Raises:
        ValueError: if there are no atoms, a line can't be read, an element is not known, or models differ in
            their atoms.
    """
    models = [model for model in _models(path, hetero) if model]
    if not models:
        raise ValueError(f"{path} holds no {'ATOM or HETATM' if hetero else 'ATOM'} record.")
    said = []
    chosen = [_one_place_each(model) for model in models]
    left_out = len(models[0]) - len(chosen[0])
    if left_out:
        many = (
            "1 further place of an atom" if left_out == 1 else f"{left_out} further places of atoms"
        )
        said.append(
            f"{many} in {path.name} {'is' if left_out == 1 else 'are'} left out: each residue has the one of "
            "highest occupancy."
        )
    first = chosen[0]
    _check_same_atoms(path, chosen)
    positions = torch.tensor([[a.place for a in model] for model in chosen], dtype=torch.float64)
    elements = tuple(_element(path, atom) for atom in first)
    said += _gaps(path, first, elements, positions[0])
    return Structures(
        positions,
        elements=elements,
        names=tuple(atom.name.strip() for atom in first),
        residue_names=tuple(atom.residue for atom in first),
        residue_ids=tuple(atom.number for atom in first),
        chains=tuple(atom.chain for atom in first),
        source=str(path),
        said=tuple(said),
    )


def _models(path: Path, hetero: bool) -> Iterable[list[_Atom]]:
    """The atoms of each model; ENDMDL and END both end one."""
    atoms: list[_Atom] = []
    for number, line in enumerate(lines_of(path), start=1):
        record = line[:6].rstrip()
        if record == "ATOM" or (hetero and record == "HETATM"):
            atoms.append(_atom(path, number, line, record == "HETATM"))
        elif record in ("MODEL", "ENDMDL", "END") and atoms:
            yield atoms
            atoms = []
    yield atoms


def _atom(path: Path, number: int, line: str, hetero: bool) -> _Atom:
    try:
        place = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
    except ValueError:
        raise ValueError(
            f"line {number} of {path} must have numbers in columns 31 to 54, x, y and z; got "
            f"{line[30:54]!r}. Write the file in the columns of the PDB format."
        ) from None
    try:
        occupancy = float(line[54:60]) if line[54:60].strip() else 1.0
    except ValueError:
        occupancy = 1.0
    return _Atom(
        line=number,
        hetero=hetero,
        name=line[12:16].ljust(4),
        altloc=line[16:17].strip(),
        residue=line[17:21].strip(),  # four letters in some force fields
        chain=line[21:22].strip() or line[72:76].strip(),
        number=line[22:27].strip(),
        place=place,
        occupancy=occupancy,
        element=_element_column(line),
    )


def _element_column(line: str) -> str:
    """Columns 77-78, or where a program wrote a column too far, 78-79 or 76-77.

    In 79-80 belongs a charge, which begins with a digit; 73-76 may hold a segment.
    """
    if line[78:79].isalpha() and not line[76:77].strip():
        return line[77:79].strip()
    left = line[75:77]
    if left.isalpha() and not line[72:75].strip() and line[12:16].strip().startswith(left):
        return left
    return line[76:78].strip()


def _one_place_each(atoms: list[_Atom]) -> list[_Atom]:
    """The atoms without the alternative places that are not chosen."""
    if not any(atom.altloc for atom in atoms):
        return atoms
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for atom in atoms:
        if atom.altloc:
            letters = sums.setdefault((atom.chain, atom.number), {})
            letters[atom.altloc] = letters.get(atom.altloc, 0.0) + atom.occupancy
    best = {place: max(letters, key=lambda one: letters[one]) for place, letters in sums.items()}
    return [a for a in atoms if not a.altloc or a.altloc == best[a.chain, a.number]]


def _check_same_atoms(path: Path, models: list[list[_Atom]]) -> None:
    keys = [atom.key for atom in models[0]]
    for number, model in enumerate(models[1:], start=2):
        if len(model) != len(keys):
            raise ValueError(
                f"models of {path} must have the same atoms; model {number} has {len(model)} where the first "
                f"has {len(keys)}. Write models of different atoms to files of their own."
            )
        other = next((i for i, atom in enumerate(model) if atom.key != keys[i]), None)
        if other is not None:
            raise ValueError(
                f"models of {path} must have the same atoms in the same order; atom {other + 1} of model "
                f"{number} is {' '.join(model[other].key)}, of the first {' '.join(keys[other])}."
            )


def _element(path: Path, atom: _Atom) -> str:
    written = atom.element.rstrip("0123456789+-")
    found = symbol(written) if written else symbol_of_name(atom.name, atom.residue)
    if found is None:
        raise ValueError(
            f"the element of atom {atom.name.strip()!r} in line {atom.line} of {path} is not known: columns "
            f"77-78 hold {atom.element!r} and its name says none. Write the symbol there."
        )
    return found


def _gaps(
    path: Path, atoms: list[_Atom], elements: Sequence[str], places: torch.Tensor
) -> list[str]:
    """A line for each chain with breaks.

    Modified residues are HETATM within a chain, and belong to it; ligands stand behind its last ATOM.
    """
    rows, ends = {}, {atom.chain: row for row, atom in enumerate(atoms) if not atom.hetero}
    for row, atom in enumerate(atoms):
        polymer = row < ends.get(atom.chain, -1) or atom.residue in AMINO_ACIDS or not atom.hetero
        if polymer and (atom.name.strip(), elements[row]) == ("CA", "C"):
            rows.setdefault(atom.chain, []).append(row)
    said = []
    for chain, of_chain in rows.items():
        steps = (places[of_chain[1:]] - places[of_chain[:-1]]).norm(dim=1) > _BROKEN
        broken = [of_chain[i] for i in steps.nonzero()[:, 0].tolist()]
        if broken and len(broken) < len(of_chain) / 2:  # else the file holds no chains
            after = ", ".join(atoms[row].number for row in broken[:6])
            more = " and others" if len(broken) > 6 else ""
            many = (
                "a gap, after residue"
                if len(broken) == 1
                else f"{len(broken)} gaps, after residues"
            )
            said.append(
                f"chain {chain or '(no letter)'} of {path.name} has {many} {after}{more}: what is missing "
                "there stays missing."
            )
    return said


def write_pdb(path: str | Path, structures: Structures, remarks: Sequence[str] = ()) -> None:
    """Write conformations as models of a PDB file, whole or not at all.

    Places have three decimals. What is not known is written as one residue UNL of chain A.

    Args:
        path: of the file; its folder exists.
        structures: to write.
        remarks: lines for the head, REMARK 250; one line each.

    Raises:
        ValueError: if a place does not fit into its columns.
        OSError: if it can't be written.
    """
    low, high = float(structures.positions.min()), float(structures.positions.max())
    if low < _WIDEST[0] or high > _WIDEST[1]:
        raise ValueError(
            f"positions of {structures.source} must be {_WIDEST[0]} to {_WIDEST[1]} Angstrom in a PDB "
            f"file; got {low:.6g} to {high:.6g}. Move them nearer to the origin."
        )
    heads, tails = _columns(structures)
    lines = [f"REMARK 250 {' '.join(remark.split())[:68]}" for remark in remarks]
    for number, places in enumerate(structures.positions.tolist(), start=1):
        lines.append(f"MODEL     {number % 10000:4d}")
        for head, (x, y, z), tail in zip(heads, places, tails, strict=True):
            lines.append(f"{head}{x:8.3f}{y:8.3f}{z:8.3f}{tail}")
        lines.append("ENDMDL")
    write_whole(path, "\n".join([*lines, "END", ""]))


def _columns(structures: Structures) -> tuple[list[str], list[str]]:
    """What stands before and behind the places of each atom."""
    n = structures.num_atoms
    names = structures.names or structures.elements
    residues = structures.residue_names or ("UNL",) * n
    numbers = structures.residue_ids or ("1",) * n
    chains = structures.chains or ("A",) * n
    heads, tails = [], []
    for i, element in enumerate(structures.elements):
        polymer = residues[i] in AMINO_ACIDS or residues[i] in NUCLEOTIDES
        name = names[i][:4]
        name = f" {name:<3}" if len(element) == 1 and len(name) < 4 else f"{name:<4}"
        code = numbers[i][-1:] if numbers[i][-1:].isalpha() else " "
        residue_number = numbers[i].removesuffix(code)[-4:]
        record = "ATOM  " if polymer else "HETATM"
        residue = f"{residues[i][:4]:>3}".ljust(4)
        head = f"{record}{(i + 1) % 100000:5d} {name} {residue}{chains[i][:1] or ' '}"
        heads.append(f"{head}{residue_number:>4}{code}   ")
        tails.append(f"{1:6.2f}{0:6.2f}          {element.upper():>2}")
    return heads, tails
