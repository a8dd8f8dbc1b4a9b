"""The irreducible representations of a group by name, and texts made of them.

    SO(2), O(2)   0, sign, 1, 2, ...       as in `Representation`; without mirrors sign is 0
    C_N, D_N      0, sign, 1 ... below N / 2, and for even N alt: (-1)^k at k steps, and alt_sign = alt x sign
    O(3), E(3)    0e, 0o, 1o, 1e, ...      as in `SpaceRepresentation`
    SO(3), SE(3)  0, 1, 2, ...             without the inversion e and o are the same

A small group sees less: under C_4 the frequencies 1, 3, 5, ... are one irrep. `Irrep.aliases` names what else
it may be.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.affine import AffineRepresentation, TensorRepresentation, linear_matrices
from eqvae.symmetry.group import Group
from eqvae.symmetry.motions import angle_of, reflection_of
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.regular import RegularRepresentation
from eqvae.symmetry.representations import Representation
from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation, irrep_matrix, irrep_name

POSITION = "position"  # what a text calls the coordinates that shifts move
OF_SPACE = SpaceRotations | SpaceMotions


@dataclass(frozen=True)
class Irrep:
    """One real irreducible representation.

    Attributes:
        name: as in texts.
        dim: of its matrices.
        endomorphisms: dimension of the matrices that commute with it: 1, or 2 where it turns without mirror.
        matrix: elements (B, E) -> its matrices (B, dim, dim).
        aliases: names of others, of a larger group, that this group can't tell from it.
    """

    name: str
    dim: int
    endomorphisms: int
    matrix: Callable[[Tensor], Tensor]
    aliases: tuple[str, ...] = ()


def irreps_of(group: Group, max_frequency: int = 6) -> tuple[Irrep, ...]:
    """The irreps of a group, up to a frequency where there is no last one.

    Raises:
        ValueError: if the group is neither one of the plane nor one of space.
    """
    if isinstance(group, PlaneMotions):
        return _plane(group, max_frequency)
    if not isinstance(group, OF_SPACE):
        raise ValueError(
            f"group must be one whose irreps are known, PlaneMotions, SpaceRotations or SpaceMotions; got "
            f"{group!r}."
        )
    found = []
    for degree in range(max_frequency + 1):
        natural = (-1) ** degree
        names = tuple(irrep_name(degree, parity) for parity in (natural, -natural))
        for name, parity in zip(names, (natural, -natural), strict=True):
            if group.parity:
                found.append(Irrep(name, 2 * degree + 1, 1, _space(degree, parity)))
        if not group.parity:
            found.append(Irrep(str(degree), 2 * degree + 1, 1, _space(degree, 1), names))
    return tuple(found)


def _space(degree: int, parity: int) -> Callable[[Tensor], Tensor]:
    return lambda g: irrep_matrix(g, degree, parity)


def _plane(group: PlaneMotions, max_frequency: int) -> tuple[Irrep, ...]:
    n, mirrors = group.rotations, group.reflections
    highest = max_frequency if n is None else (n - 1) // 2
    size = 1 if mirrors else 2
    without = () if mirrors else ("sign",)
    found = [Irrep("0", 1, 1, _turning(0), (*_folded(0, n), *without))]
    if mirrors:
        found.append(Irrep("sign", 1, 1, _sign, _folded(0, n)))
    found += [Irrep(str(f), 2, size, _turning(f), _folded(f, n)) for f in range(1, highest + 1)]
    if n is not None and n % 2 == 0:
        aliases = (str(n // 2), str(3 * n // 2))
        found.append(Irrep("alt", 1, 1, _alternating(n), aliases))
        if mirrors:
            found.append(Irrep("alt_sign", 1, 1, lambda g: _alternating(n)(g) * _sign(g), aliases))
    return tuple(found)


def _folded(frequency: int, n: int | None) -> tuple[str, ...]:
    """The next frequencies that N rotations can't tell from this one."""
    if n is None:
        return ()
    return tuple(str(f) for f in sorted({abs(n - frequency), n + frequency, 2 * n - frequency})[:2])


def _turning(frequency: int) -> Callable[[Tensor], Tensor]:
    one = Representation((*[0] * frequency, 1), position=False)
    return lambda g: linear_matrices(one, g)


def _sign(g: Tensor) -> Tensor:
    return (1 - 2 * reflection_of(g))[:, None, None]


def _alternating(n: int) -> Callable[[Tensor], Tensor]:
    """(-1)^k for k steps of N."""

    def matrix(g: Tensor) -> Tensor:
        steps = (angle_of(g) * (n / (2 * math.pi))).round()
        return (1 - 2 * steps.remainder(2))[:, None, None]

    return matrix


def text_of(group: Group, copies: Mapping[str, int], position: bool = False) -> str:
    """The name of a sum of irreps: "position + 4x0 + 2x1", "1e", "regular of C8".

    Args:
        group: whose irreps they are; a finite one's are called regular where each stands as often as in
            its regular representation.
        copies: by name of the irrep.
        position: whether there is a position too.
    """
    irreps = irreps_of(group, max_frequency=0)
    if isinstance(group, PlaneMotions) and group.is_finite and group.order > 2 and not position:
        shares = {copies.get(i.name, 0) * i.endomorphisms / i.dim for i in irreps}
        if len(shares) == 1 and shares != {0} and max(shares) == int(max(shares)):
            return str(RegularRepresentation(group, int(max(shares))))
    terms = [f"{n}x{name}" for name, n in copies.items() if n]
    if isinstance(group, OF_SPACE) and group.parity and [n for n in copies.values() if n] == [1]:
        terms = [name for name, n in copies.items() if n]
    return " + ".join([POSITION] * position + terms) or "none"


def representation_of(group: Group, given: str | AffineRepresentation) -> AffineRepresentation:
    """A representation from its text, or one that is given, if it belongs to the group.

    Args:
        group: of the plane or of space.
        given: such as "position + 4x0 + 2x1" for the plane, "2x0e + 1o" for space, "regular" or
            "3 x regular" for a finite group, "trivial" for one number that stays as it is.

    Raises:
        ValueError: if the text is none, or the representation is one of another kind of group.
    """
    in_space = isinstance(group, OF_SPACE)
    if isinstance(given, str):
        text = given.strip()
        if text == "trivial":
            text = "1x0e" if in_space else "1x0"
        if not in_space and "regular" in text:
            copies = text.split(" x ")[0]
            return RegularRepresentation(group, int(copies) if copies.isdigit() else 1)
        return (SpaceRepresentation if in_space else Representation).parse(text)
    if isinstance(given, TensorRepresentation):
        for part in (given.first, given.second):
            representation_of(group, part)
    elif isinstance(given, SpaceRepresentation) != in_space:
        raise ValueError(
            f"representation {given} is none of {group.name}: it is of another kind of group."
        )
    return given


def place_of(group: Group, g: Tensor) -> tuple[Tensor, Tensor]:
    """The matrices A (M, dim, dim) and shifts b (M, dim) by which elements move points, g p = A p + b."""
    dim = 3 if isinstance(group, OF_SPACE) else 2
    origin = group.act(g, g.new_zeros(len(g), 1, dim))
    axes = group.act(g, torch.eye(dim, dtype=g.dtype).expand(len(g), -1, -1)) - origin
    return axes.mT, origin[:, 0]
