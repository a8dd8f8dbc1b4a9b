"""A latent as blocks of irreps, in the plane or in space, and what follows from the blocks alone."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """All copies of one irrep inside a latent.

    Attributes:
        name: "position", "log_scale", "psi0", "sign", "psi1", ...; in space "position", "0e", "1o", ...
        frequency: angular frequency or degree l (1 for the position, which turns with the object).
        copies: multiplicity of the irrep.
        dim: dimension of one copy.
        start: index of the first coordinate.
    """

    name: str
    frequency: int
    copies: int
    dim: int
    start: int

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + self.copies * self.dim)


class SumOfIrreps(ABC):
    """What every sum of irreps knows of itself by its blocks."""

    @property
    @abstractmethod
    def blocks(self) -> tuple[Block, ...]:
        """The non-empty blocks in the order of the coordinates."""

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Copies of the irrep that a direction is read from."""

    @property
    def has_frame(self) -> bool:
        """Whether there is one to read a direction from."""
        return self.num_frames > 0

    @property
    def dim(self) -> int:
        """Number of coordinates D, position included."""
        return sum(block.copies * block.dim for block in self.blocks)

    @property
    def num_copies(self) -> int:
        """Number of irrep copies: one variance each (a variance per coordinate does not commute)."""
        return sum(block.copies for block in self.blocks)

    @property
    def max_frequency(self) -> int:
        """The highest angular frequency or degree l of v."""
        return max((b.frequency for b in self.blocks if b.name != "position"), default=0)

    @cached_property
    def copy_dims(self) -> Tensor:
        """Dimension of each irrep copy, (num_copies,)."""
        return torch.tensor([block.dim for block in self.blocks for _ in range(block.copies)])

    @cached_property
    def copy_index(self) -> Tensor:
        """For every coordinate the index of its irrep copy, (D,)."""
        dims = [block.dim for block in self.blocks for _ in range(block.copies)]
        return torch.tensor([copy for copy, dim in enumerate(dims) for _ in range(dim)])
