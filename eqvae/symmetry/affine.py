"""What every representation is asked, of whatever group: the coordinates that it moves, and how.

    g . z = A(g) z + b(g),      (g h) . z = g . (h . z)

Most are linear, b = 0; a position is moved by its group's translations as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eqvae.symmetry.blocks import Block


@runtime_checkable
class AffineRepresentation(Protocol):
    """A space of coordinates with the action of a group; its text, `str`, names its irreps."""

    @property
    def dim(self) -> int:
        """Number of coordinates D."""

    @property
    def blocks(self) -> Sequence[Block]:
        """All copies of each irrep, in the order of the coordinates."""

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g . z, row by row, for elements (B, E) and coordinates (B, D)."""

    def matrix(self, g: Tensor) -> Tensor:
        """The matrices of g on homogeneous coordinates (z, 1), (B, D + 1, D + 1)."""


def homogeneous(linear: Tensor) -> Tensor:
    """Matrices (B, D, D) on (z, 1), without a shift: (B, D + 1, D + 1)."""
    one = linear.new_ones(len(linear), 1, 1)
    return torch.stack([torch.block_diag(a, o) for a, o in zip(linear, one, strict=True)])


def linear_matrices(representation: AffineRepresentation, g: Tensor) -> Tensor:
    """A(g), without the shift, (B, D, D)."""
    d = representation.dim
    return representation.matrix(g)[:, :d, :d]


def max_frequency(representation: AffineRepresentation) -> int:
    """The highest frequency, or degree, among the irreps."""
    return max((block.frequency for block in representation.blocks), default=0)


@dataclass(frozen=True)
class TensorRepresentation:
    """The tensor product of two linear representations, (g . T) = A(g) T B(g)^T on row-major matrices T.

    Args:
        first: of the rows of T.
        second: of its columns.

    Example:
        >>> from eqvae.symmetry import SpaceRepresentation
        >>> vector = SpaceRepresentation.parse("1x1o")
        >>> TensorRepresentation(vector, vector).dim
        9
    """

    first: AffineRepresentation
    second: AffineRepresentation

    @property
    def dim(self) -> int:
        return self.first.dim * self.second.dim

    @property
    def blocks(self) -> tuple[Block, ...]:
        highest = sum(max_frequency(part) for part in (self.first, self.second))
        return (Block(str(self), highest, 1, self.dim, 0),)

    def __str__(self) -> str:
        return f"({self.first}) x ({self.second})"

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        shape = (self.first.dim, self.second.dim)
        a, b = (linear_matrices(part, g.to(z)) for part in (self.first, self.second))
        return (a @ z.unflatten(1, shape) @ b.mT).flatten(1)

    def matrix(self, g: Tensor) -> Tensor:
        a, b = (linear_matrices(part, g) for part in (self.first, self.second))
        return homogeneous(torch.einsum("bij,bkl->bikjl", a, b).reshape(len(g), self.dim, self.dim))
