"""The regular representation of a finite group: a number for each element, as in orientation histograms.

(g z)(h) = z(g^-1 h)
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.symmetry.affine import homogeneous
from eqvae.symmetry.blocks import Block
from eqvae.symmetry.motions import angle_of, reflection_of
from eqvae.symmetry.plane import PlaneMotions

_ON_THE_GRID = 1e-3  # of a step, how far from an element of the group a turn may be


@dataclass(frozen=True)
class RegularRepresentation:
    """Copies of the regular representation of C_N or D_N; coordinates follow `group.elements()`.

    Args:
        group: finite.
        copies: how many histograms there are, one after the other.

    Raises:
        ValueError: if the group is not finite or there is no copy.

    Example:
        >>> from eqvae.symmetry import motion
        >>> histogram = RegularRepresentation(PlaneMotions.cyclic(4))
        >>> histogram.act(motion(angle=torch.pi / 2), torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist()
        [[4.0, 1.0, 2.0, 3.0]]
    """

    group: PlaneMotions
    copies: int = 1

    def __post_init__(self) -> None:
        if not self.group.is_finite:
            raise ValueError(
                f"group of a regular representation must be finite; got {self.group.name}. Try "
                f"PlaneMotions.cyclic(8)."
            )
        if self.copies < 1:
            raise ValueError(f"copies must be at least 1; got {self.copies}.")

    def __str__(self) -> str:
        return ("" if self.copies == 1 else f"{self.copies} x ") + f"regular of {self.group.name}"

    @property
    def dim(self) -> int:
        return self.copies * int(self.group.order)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (Block("regular", 0, self.copies, int(self.group.order), 0),)

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g . z, row by row: a permutation.

        Raises:
            ValueError: if a row of g is no element of the group.
        """
        histograms = z.unflatten(1, (self.copies, -1))
        source = self._sources(g).to(z.device)[:, None].expand_as(histograms)
        return histograms.gather(2, source).flatten(1)

    def matrix(self, g: Tensor) -> Tensor:
        """Permutations on homogeneous coordinates (z, 1), (B, D + 1, D + 1)."""
        one = torch.eye(int(self.group.order), dtype=g.dtype, device=g.device)[self._sources(g)]
        return homogeneous(torch.stack([torch.block_diag(*[p] * self.copies) for p in one]))

    def _sources(self, g: Tensor) -> Tensor:
        """Which coordinate each one comes from, g^-1 h for every h, (B, order)."""
        inverse = self.group.inverse(g.double())
        all_of_them, order = self._elements, int(self.group.order)
        products = self.group.compose(
            inverse.repeat_interleave(order, dim=0), all_of_them.repeat(len(g), 1)
        )
        return self._index(products).reshape(len(g), order)

    @cached_property
    def _elements(self) -> Tensor:
        return self.group.elements()

    def _index(self, g: Tensor) -> Tensor:
        """Number of each element in `group.elements()`, (B,)."""
        step = angle_of(g) * (self.group.rotations / (2 * math.pi))
        turn, mirror = step.round(), reflection_of(g)
        lost = ((step - turn).abs() > _ON_THE_GRID) | (mirror > float(self.group.reflections))
        if bool(lost.any()):
            raise ValueError(
                f"g must be elements of {self.group.name}; got another turn or mirror."
            )
        return (turn.remainder(self.group.rotations) + self.group.rotations * mirror).long()
