"""How the outputs of layers move: not at all, as scalar maps (`ImageAction`), or as steerable fields."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqvae.metrics.equivariance.sweeps import flow
from eqvae.metrics.equivariance.velocity import ImageAction
from eqvae.symmetry.group import Generator
from eqvae.symmetry.motions import angle_of, reflection_of

LayerAction = Callable[[Tensor, Tensor], Tensor]  # (g (B, E), output) -> g output


@dataclass(frozen=True)
class InvariantAction:
    """The output stays as it is."""

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        return y

    def velocity(self, y: Tensor, generator: Generator) -> Tensor:
        return torch.zeros_like(y)


@dataclass(frozen=True)
class FieldAction:
    """Steerable feature fields: [g h](p) = rho(g) h(g^-1 p), with rho from an escnn `FieldType`.

    Attributes:
        field_type: the type, with `.gspace.fibergroup` and `.representation`.
        grid: how scalar maps on the same grid move.
    """

    field_type: Any
    grid: ImageAction

    def __call__(self, g: Tensor, y: Tensor) -> Tensor | None:
        rho = self._rho(g)
        if rho is None:
            return None
        return torch.einsum("ij,bjhw->bihw", rho.to(y), self.grid(g, y))

    def velocity(self, y: Tensor, generator: Generator) -> Tensor | None:
        step = 1e-4
        times = torch.tensor([step, -step], dtype=torch.float64)
        ahead, behind = (self._rho(g) for g in flow(self.grid.group, generator, times)[:, None])
        if ahead is None or behind is None:
            return None  # a finite group has no infinitely small rotation
        turning = ((ahead - behind) / (2 * step)).to(y)
        return self.grid.velocity(y, generator) + torch.einsum("ij,bjhw->bihw", turning, y)

    def _rho(self, g: Tensor) -> Tensor | None:
        """The matrix of the first motion on all channels, None if the group lacks the element."""
        reflection, angle = reflection_of(g)[0].item(), angle_of(g)[0].item()
        space = self.field_type.gspace
        rotations, mirrors = space.rotations_order, space.flips_order > 0
        if reflection and not mirrors:
            return None
        turn: Any = angle
        if rotations > 0:
            turn = round(angle * rotations / (2 * math.pi))
            if abs(turn * 2 * math.pi / rotations - angle) > 1e-6:
                return None
            turn %= rotations
        paired = isinstance(space.fibergroup.identity.value, tuple)  # (mirror, turn): D_N, O(2)
        value = (int(reflection), turn) if paired else int(reflection) if mirrors else turn
        element = space.fibergroup.element(value)
        blocks = [torch.as_tensor(r(element)) for r in self.field_type.representations]
        return torch.block_diag(*[block.double() for block in blocks])
