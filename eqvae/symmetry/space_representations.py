"""How motions of space act on a latent: z = (t, v), t a position in space, v a sum of irreps of O(3).

    g . (t, v) = (g t, rho(g) v),    V = sum_i m_i (l_i, p_i), in e3nn's text "position + 2x0e + 1x1o"

    rho(g) v = s D_l(R) v,    s = 1 for a rotation; with the inversion 1 where p is even (e), -1 where odd

0e is a scalar, 0o changes sign in a mirror (handedness), 1o is a vector such as a force, 1e a pseudovector
such as a torque. The coordinates of a copy of l are those of `solid_harmonics`: x, y, z for l = 1. Elements
are rows of `SpaceRotations` (B, 5), or of `SpaceMotions` (B, 8), whose shifts a position follows.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.symmetry.blocks import Block, SumOfIrreps
from eqvae.symmetry.group import Group
from eqvae.symmetry.representations import Slices
from eqvae.symmetry.space import SpaceRotations, parity_of
from eqvae.symmetry.space_motions import SpaceMotions, translation_of
from eqvae.symmetry.wigner import wigners

_TERM = re.compile(r"(?:(\d+)\s*x\s*)?(\d+)([eo])")


@dataclass(frozen=True)
class SpaceRepresentation(SumOfIrreps):
    """A sum of irreps of O(3), in the order given, behind a position if there is one.

    Args:
        irreps: (copies, l, parity) of each block; parity is 1 (even) or -1 (odd) under the inversion.
        position: whether the latent carries a position t (3 coordinates, the unit of the points).

    Raises:
        ValueError: if copies, l or parity is something else, or there is no copy at all.

    Example:
        >>> latent = SpaceRepresentation.parse("position + 2x0e + 1o")
        >>> str(latent), latent.dim
        ('position + 2x0e + 1x1o', 8)
    """

    irreps: tuple[tuple[int, int, int], ...]
    position: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "irreps", tuple(tuple(term) for term in self.irreps))
        for copies, degree, parity in self.irreps:
            if copies < 0 or degree < 0 or parity not in (1, -1):
                raise ValueError(
                    f"irreps must be (copies, l, parity) with copies and l at least 0 and parity 1 or -1; "
                    f"got {(copies, degree, parity)}."
                )
        if not (self.position or any(copies for copies, _, _ in self.irreps)):
            raise ValueError("irreps must name at least one copy; got none. Try 1x0e + 1x1o.")

    @classmethod
    def parse(cls, text: str) -> "SpaceRepresentation":
        """The representation that a text such as "position + 2x0e + 1x1o" or "1e" names.

        Raises:
            ValueError: if a term is neither "position" nor COPIESxDEGREE with e or o.
        """
        irreps, position = [], False
        for term in text.split("+"):
            match = _TERM.fullmatch(term.strip())
            if term.strip() == "position":
                position = True
            elif match is None:
                raise ValueError(
                    f"a term of a representation of space must be position, or COPIESxDEGREE with e or o "
                    f"for its parity, such as 2x1o; got {term.strip()!r} in {text!r}."
                )
            else:
                irreps.append((int(match[1] or 1), int(match[2]), 1 if match[3] == "e" else -1))
        return cls(tuple(irreps), position)

    def __str__(self) -> str:
        return " + ".join(
            block.name if block.name == "position" else f"{block.copies}x{block.name}"
            for block in self.blocks
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The non-empty blocks in the order of the coordinates, named "position", "0e", "1o", ..."""
        blocks = [Block("position", 1, 1, 3, 0)] if self.position else []
        for copies, degree, parity in self.irreps:
            if copies:
                start = blocks[-1].slice.stop if blocks else 0
                name = irrep_name(degree, parity)
                blocks.append(Block(name, degree, copies, 2 * degree + 1, start))
        return tuple(blocks)

    @cached_property
    def slices(self) -> Slices:
        """Columns by meaning: content is 0e, sign (handedness) 0o, frame 1o, or 1e where there is no 1o.

        Raises:
            ValueError: if columns of one meaning are apart.
        """
        vector = [block for block in self.blocks if block.name != "position"]
        frame = "1o" if any(block.name == "1o" for block in vector) else "1e"
        return Slices(
            position=slice(0, 3 * self.position),
            scale=slice(0, 0),
            content=self._together([b for b in vector if b.name == "0e"]),
            sign=self._together([b for b in vector if b.name == "0o"]),
            frame=self._together([b for b in vector if b.name == frame]),
            moving=self._together([b for b in vector if b.frequency > 0]),
            vector=slice(3 * self.position, self.dim),
        )

    def _together(self, blocks: list[Block]) -> slice:
        for before, after in zip(blocks[:-1], blocks[1:], strict=True):
            if before.slice.stop != after.start:
                names = [block.name for block in self.blocks]
                raise ValueError(
                    f"irreps of a latent must stand together by meaning, in the order 0e, 0o, 1o, then the "
                    f"others; got {' + '.join(names)}."
                )
        return slice(blocks[0].start, blocks[-1].slice.stop) if blocks else slice(0, 0)

    @property
    def scale(self) -> bool:
        """Whether the latent carries a scale: it does not."""
        return False

    @property
    def num_frames(self) -> int:
        """Copies of 1o, or of 1e where there is no 1o."""
        frame = self.slices.frame
        return (frame.stop - frame.start) // 3

    def frame_columns(self, copy: int) -> slice:
        """Columns of a copy of the frame's irrep, counted from 0.

        Raises:
            ValueError: if the latent has not so many.
        """
        if not 0 <= copy < self.num_frames:
            raise ValueError(
                f"copy must be one of the {self.num_frames} copies of l = 1 in {self}, counted from 0; got "
                f"{copy}."
            )
        first = self.slices.frame.start + 3 * copy
        return slice(first, first + 3)

    @property
    def vector(self) -> "SpaceRepresentation":
        """v alone: the same without position."""
        return SpaceRepresentation(self.irreps)

    @property
    def single(self) -> "SpaceRepresentation":
        """One copy of each irrep of v: how each of them moves."""
        kinds = dict.fromkeys((degree, parity) for n, degree, parity in self.irreps if n)
        return SpaceRepresentation(tuple((1, *kind) for kind in kinds))

    @property
    def multiplicities(self) -> dict[str, int]:
        """Copies by name of the irrep."""
        copies = Counter[str]()
        for block in self.blocks:
            copies[block.name] += block.copies if block.name != "position" else 0
        return {name: n for name, n in copies.items() if n}

    def check(self, symmetry: Group) -> None:
        """Refuse a symmetry that is none of space.

        Raises:
            ValueError: if it is another kind of group.
        """
        if not isinstance(symmetry, SpaceRotations | SpaceMotions):
            raise ValueError(
                f"symmetry of a latent of space must be SpaceMotions or SpaceRotations; got {symmetry!r}."
            )

    def spread(self, g: Tensor, log_scale: Tensor) -> Tensor:
        """log standard deviations of g . z, (B, num_copies): motions of space leave those of z."""
        return log_scale

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g . z, row by row, for elements (B, 5) or (B, 8) and coordinates (B, D)."""
        parts = []
        for block, matrices in zip(self.blocks, self._matrices(g.to(z)), strict=True):
            copies = z[:, block.slice].unflatten(1, (block.copies, block.dim))
            moved = (copies @ matrices.mT).flatten(1)
            if block.name == "position" and g.shape[1] > 5:
                moved = moved + translation_of(g).to(z)
            parts.append(moved)
        return torch.cat(parts, dim=1)

    def matrix(self, g: Tensor) -> Tensor:
        """rho(g) on homogeneous coordinates (z, 1), (B, D + 1, D + 1)."""
        d = self.dim
        matrix = g.new_zeros(len(g), d + 1, d + 1)
        matrix[:, d, d] = 1
        for block, each in zip(self.blocks, self._matrices(g), strict=True):
            for start in range(block.start, block.slice.stop, block.dim):
                columns = slice(start, start + block.dim)
                matrix[:, columns, columns] = each
        if self.position and g.shape[1] > 5:
            matrix[:, :3, d] = translation_of(g)
        return matrix

    def _matrices(self, g: Tensor) -> list[Tensor]:
        """How one copy of each block turns, (B, dim, dim)."""
        turned = wigners((block.frequency for block in self.blocks), g[:, 1:5])
        mirrored = (1 - 2 * parity_of(g))[:, None, None]
        parities = [-1] * self.position + [parity for n, _, parity in self.irreps if n]
        return [
            turned[block.frequency] if parity == 1 else mirrored * turned[block.frequency]
            for block, parity in zip(self.blocks, parities, strict=True)
        ]


def irrep_name(degree: int, parity: int) -> str:
    """e3nn's name of an irrep of O(3): "1o"."""
    return f"{degree}{'e' if parity == 1 else 'o'}"


def irrep_matrix(g: Tensor, degree: int, parity: int) -> Tensor:
    """The matrices of one irrep of O(3), (B, 2 l + 1, 2 l + 1)."""
    return SpaceRepresentation(((1, degree, parity),)).matrix(g)[:, :-1, :-1]
