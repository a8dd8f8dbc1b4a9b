"""XYZ files: the number of atoms, a comment, then a line for each atom; frame after frame.

The comment of an extended XYZ file may name other columns, as in Properties=species:S:1:forces:R:3:pos:R:3.
"""

import re
from pathlib import Path

import torch

from eqvae.three.structures.elements import symbol
from eqvae.three.structures.lines import lines_of
from eqvae.three.structures.structures import Structures

_PROPERTIES = re.compile(r'properties\s*=\s*"?([^\s"]+)', flags=re.IGNORECASE)


def read_xyz(path: Path) -> Structures:
    """All frames of a file.

    Raises:
        ValueError: if a line can't be read, an element is not known, or frames differ in their atoms.
    """
    lines, at, frames, elements = lines_of(path), 0, [], None
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        number = len(frames) + 1
        count = _count(path, number, at + 1, lines[at])
        rows = lines[at + 2 : at + 2 + count]
        if len(rows) < count:
            raise ValueError(
                f"frame {number} of {path} must have {count} atoms, as line {at + 1} says; the file ends "
                f"after {len(rows)}. Cut the frame off."
            )
        if frames and count != len(elements):
            raise ValueError(
                f"frames of {path} must have the same atoms; frame {number} has {count} where the first has "
                f"{len(elements)}. Write frames of different atoms to files of their own."
            )
        columns = _columns(lines[at + 1])
        read = [_atom(path, at + 3 + i, row, columns) for i, row in enumerate(rows)]
        found = tuple(element for element, _ in read)
        elements = found if elements is None else elements
        if found != elements:
            other = next(i for i in range(count) if found[i] != elements[i])
            raise ValueError(
                f"frames of {path} must have the same atoms in the same order; atom {other + 1} of frame "
                f"{number} is {found[other]}, of the first {elements[other]}."
            )
        frames.append([place for _, place in read])
        at += 2 + count
    if not frames:
        raise ValueError(f"{path} holds no atoms.")
    return Structures(torch.tensor(frames, dtype=torch.float64), elements, source=str(path))


def _count(path: Path, frame: int, number: int, line: str) -> int:
    if not line.strip().isdecimal() or int(line) < 1:
        raise ValueError(
            f"line {number} of {path} must be the number of atoms of frame {frame}; got {line[:40]!r}."
        )
    return int(line)


def _columns(comment: str) -> tuple[int, int]:
    """Where the element and the first coordinate stand in a line."""
    named = _PROPERTIES.search(comment)
    if named is None:
        return 0, 1
    fields, starts, at = named[1].split(":"), {}, 0
    for name, width in zip(fields[::3], fields[2::3], strict=False):
        starts[name.lower()] = at
        at += int(width) if width.isdecimal() else 1
    return starts.get("species", starts.get("z", 0)), starts.get("pos", 1)


def _atom(
    path: Path, number: int, line: str, columns: tuple[int, int]
) -> tuple[str, tuple[float, ...]]:
    words, (species, pos) = line.split(), columns
    try:
        element = symbol(words[species])
        place = tuple(float(word) for word in words[pos : pos + 3])
    except (ValueError, IndexError):
        place = ()
    if len(place) != 3:
        raise ValueError(
            f"line {number} of {path} must be an element and three numbers; got {line[:60]!r}."
        )
    if element is None:
        raise ValueError(
            f"line {number} of {path} must begin with a chemical symbol or an atomic number; got "
            f"{words[species][:20]!r}."
        )
    return element, place
