"""How rotations of space act on sums of irreps: V = sum_i m_i (l_i, p_i), in e3nn's text "2x0e + 1x1o".

    g . v = s D_l(R) v,      s = 1 for a rotation; with the inversion 1 where p is even (e), -1 where odd (o)

0e is a scalar, 0o changes sign in a mirror (handedness), 1o is a vector such as a force, 1e a pseudovector
such as a torque. The coordinates of a copy of l are those of `solid_harmonics`: x, y, z for l = 1.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.symmetry.affine import homogeneous
from eqvae.symmetry.representations import Block
from eqvae.symmetry.space import parity_of, rotation_part
from eqvae.symmetry.wigner import wigner

_TERM = re.compile(r"(?:(\d+)\s*x\s*)?(\d+)([eo])")


@dataclass(frozen=True)
class SpaceRepresentation:
    """A sum of irreps of O(3), in the order given.

    Args:
        irreps: (copies, l, parity) of each block; parity is 1 (even) or -1 (odd) under the inversion.

    Raises:
        ValueError: if copies, l or parity is something else, or there is no copy at all.

    Example:
        >>> latent = SpaceRepresentation.parse("2x0e + 1o")
        >>> str(latent), latent.dim
        ('2x0e + 1x1o', 5)
    """

    irreps: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "irreps", tuple(tuple(term) for term in self.irreps))
        for copies, degree, parity in self.irreps:
            if copies < 0 or degree < 0 or parity not in (1, -1):
                raise ValueError(
                    f"irreps must be (copies, l, parity) with copies and l at least 0 and parity 1 or -1; "
                    f"got {(copies, degree, parity)}."
                )
        if not self.dim:
            raise ValueError("irreps must name at least one copy; got none. Try 1x0e + 1x1o.")

    @classmethod
    def parse(cls, text: str) -> "SpaceRepresentation":
        """The representation that a text such as "2x0e + 1x1o" or "1e" names.

        Raises:
            ValueError: if a term is not COPIESxDEGREE with e or o.
        """
        irreps = []
        for term in text.split("+"):
            match = _TERM.fullmatch(term.strip())
            if match is None:
                raise ValueError(
                    f"a term of a representation of space must be COPIESxDEGREE with e or o for its "
                    f"parity, such as 2x1o; got {term.strip()!r} in {text!r}."
                )
            irreps.append((int(match[1] or 1), int(match[2]), 1 if match[3] == "e" else -1))
        return cls(tuple(irreps))

    def __str__(self) -> str:
        return " + ".join(f"{block.copies}x{block.name}" for block in self.blocks)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The non-empty blocks in the order of the coordinates, named "0e", "1o", ..."""
        blocks, start = [], 0
        for copies, degree, parity in self.irreps:
            if copies:
                name = irrep_name(degree, parity)
                blocks.append(Block(name, degree, copies, 2 * degree + 1, start))
                start = blocks[-1].slice.stop
        return tuple(blocks)

    @property
    def dim(self) -> int:
        """Number of coordinates D."""
        return sum(copies * (2 * degree + 1) for copies, degree, _ in self.irreps)

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g . z, row by row, for elements (B, 5) and coordinates (B, D)."""
        g, parts = g.to(z), []
        for block, parity in zip(self.blocks, self._parities, strict=True):
            copies = z[:, block.slice].unflatten(1, (block.copies, block.dim))
            moved = torch.einsum("bij,bcj->bci", irrep_matrix(g, block.frequency, parity), copies)
            parts.append(moved.flatten(1))
        return torch.cat(parts, dim=1)

    def matrix(self, g: Tensor) -> Tensor:
        """rho(g) on homogeneous coordinates (z, 1), (B, D + 1, D + 1)."""
        parts = [
            irrep_matrix(g, block.frequency, parity)
            for block, parity in zip(self.blocks, self._parities, strict=True)
        ]
        copies = [block.copies for block in self.blocks]
        linear = [
            torch.block_diag(*(a for a, n in zip(each, copies, strict=True) for _ in range(n)))
            for each in zip(*parts, strict=True)
        ]
        return homogeneous(torch.stack(linear))

    @property
    def _parities(self) -> list[int]:
        return [parity for copies, _, parity in self.irreps if copies]


def irrep_name(degree: int, parity: int) -> str:
    """e3nn's name of an irrep of O(3): "1o"."""
    return f"{degree}{'e' if parity == 1 else 'o'}"


def irrep_matrix(g: Tensor, degree: int, parity: int) -> Tensor:
    """The matrices of one irrep of O(3), (B, 2 l + 1, 2 l + 1)."""
    matrices = wigner(degree, rotation_part(g))
    if parity == 1:
        return matrices
    return (1 - 2 * parity_of(g))[:, None, None] * matrices
