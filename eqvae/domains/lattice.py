"""The hexagonal lattice: where its points lie, and which whole numbers stand for them.

A point is p = a (q e1 + r e2) with e1 = (1, 0), e2 = (-1/2, sqrt(3)/2): axial coordinates (q, r), whole on
the lattice, 120 degrees between their axes. Its six neighbours are +-(1, 0), +-(0, 1) and +-(1, 1). An
array keeps q along its columns and r up its rows: row i and column j of n x n hold r = (n - 1)/2 - i and q
= j - (n - 1)/2. A sixth of a turn is (q, r) -> (q - r, q) and the mirror y -> -y is (q, r) -> (q - r, -r).
Only this file converts between array, lattice and plane.
"""

import math

import torch
from torch import Tensor

_HALF_ROOT = math.sqrt(3) / 2
TURN = ((1, -1), (1, 0))  # by 60 degrees, on (q, r)
MIRROR = ((1, -1), (0, -1))  # y -> -y


def axial_points(size: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """(q, r) of every place of an array, (size, size, 2)."""
    axis = torch.arange(size, dtype=dtype or torch.get_default_dtype()) - (size - 1) / 2
    return torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), dim=-1)


def in_plane(axial: Tensor, spacing: float) -> Tensor:
    """Positions (x, y) of axial coordinates (..., 2), pixels."""
    q, r = axial.unbind(-1)
    return spacing * torch.stack([q - r / 2, _HALF_ROOT * r], dim=-1)


def on_lattice(points: Tensor, spacing: float) -> Tensor:
    """Axial coordinates of positions (..., 2) in pixels, whole on the lattice."""
    x, y = points.unbind(-1)
    r = y / (_HALF_ROOT * spacing)
    return torch.stack([x / spacing + r / 2, r], dim=-1)


def steps_from_middle(axial: Tensor) -> Tensor:
    """How many steps from point to neighbour lead to the middle: (..., 2) -> (...)."""
    q, r = axial.unbind(-1)
    return torch.stack([q.abs(), r.abs(), (q - r).abs()]).amax(dim=0)


def whole_motion(mirror: int, sixths: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The matrix on (q, r) of a mirror, if asked for, and then sixths of a turn."""
    m = MIRROR if mirror else ((1, 0), (0, 1))
    for _ in range(sixths % 6):
        m = tuple(
            tuple(sum(TURN[i][k] * m[k][j] for k in range(2)) for j in range(2)) for i in range(2)
        )
    return m
