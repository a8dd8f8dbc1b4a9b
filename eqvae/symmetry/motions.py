"""Motions of the plane: elements of SE(2) and, with reflections, E(2).

A batch of motions is one tensor g of shape (B, 4) with rows [reflection, angle, x, y], meaning

    g p = R(angle) F^reflection p + (x, y),      F (x, y) = (x, -y),

reflection first, then rotation, then shift. Angles are radians, counter-clockwise as seen on screen;
positions and shifts are pixels from the image centre, x to the right, y up.
"""

import math
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Motions = TypeVar("Motions", Tensor, np.ndarray)


def motion(
    angle: float | Tensor = 0.0,
    shift: tuple[float, float] | Tensor = (0.0, 0.0),
    reflection: float | Tensor = 0.0,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Build motions; scalars and single shifts are broadcast against batches.

    Args:
        angle: radians, counter-clockwise on screen, scalar or (B,).
        shift: (x, y) in pixels, (2,) or (B, 2).
        reflection: 0 or 1, scalar or (B,).
        dtype: of the result; the default dtype if None.

    Returns:
        Motions, shape (B, 4), with B = 1 when every argument is single.
    """
    dtype = dtype or torch.get_default_dtype()
    angle = torch.as_tensor(angle, dtype=dtype)
    device = angle.device
    shift = torch.as_tensor(shift, dtype=dtype, device=device)
    reflection = torch.as_tensor(reflection, dtype=dtype, device=device)
    columns = torch.broadcast_tensors(
        reflection.reshape(-1),
        angle.reshape(-1),
        shift[..., 0].reshape(-1),
        shift[..., 1].reshape(-1),
    )
    return torch.stack(columns, dim=1)


def reflection_of(g: Motions) -> Motions:
    """1 where a motion mirrors, else 0, of motions (..., 4): (...,)."""
    return g[..., 0]


def angle_of(g: Motions) -> Motions:
    """The angles of motions (..., 4), radians, (...,)."""
    return g[..., 1]


def shift_of(g: Motions) -> Motions:
    """The shifts (x, y) of motions (..., 4), pixels, (..., 2): where they bring the centre."""
    return g[..., 2:]


def with_angle(g: Tensor, angle: Tensor) -> Tensor:
    """The motions (..., 4) with other angles (...,), radians."""
    return torch.cat([g[..., :1], angle[..., None], g[..., 2:]], dim=-1)


def with_shift(g: Tensor, shift: Tensor) -> Tensor:
    """The motions (..., 4) with other shifts (..., 2), pixels."""
    return torch.cat([g[..., :2], shift], dim=-1)


def linear_of(g: Tensor) -> Tensor:
    """The turns and mirrors of motions (..., 4), without their shifts."""
    return with_shift(g, torch.zeros_like(g[..., 2:]))


def identity(n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
    """The motion that moves nothing, shape (n, 4)."""
    return torch.zeros(n, 4, dtype=dtype)


def cos_sin(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, exact (0, 1, -1) at multiples of 90 degrees.

    cos(pi / 2) is 6e-17 in float64 and 4e-8 in float32; that rounding alone would hide whether a
    network is exact on the grid's own rotations.
    """
    quarters = torch.round(angle / (math.pi / 2))
    near = (angle - quarters * (math.pi / 2)).abs() <= 4 * torch.finfo(angle.dtype).eps * (
        1 + angle.abs()
    )
    quadrant = quarters.remainder(4)
    exact_cos = (quadrant == 0).to(angle.dtype) - (quadrant == 2).to(angle.dtype)
    exact_sin = (quadrant == 1).to(angle.dtype) - (quadrant == 3).to(angle.dtype)
    return torch.where(near, exact_cos, angle.cos()), torch.where(near, exact_sin, angle.sin())


def linear_part(g: Tensor) -> Tensor:
    """The orthogonal matrices R(angle) F^reflection, shape (B, 2, 2)."""
    cos, sin = cos_sin(g[:, 1])
    sign = 1 - 2 * g[:, 0]
    return torch.stack([cos, -sign * sin, sin, sign * cos], dim=1).reshape(-1, 2, 2)


def apply(g: Tensor, points: Tensor) -> Tensor:
    """Move points: g p, for points (B, 2) or (B, N, 2) in pixels."""
    moved = torch.einsum("bij,b...j->b...i", linear_part(g), points)
    return moved + (g[:, 2:] if points.dim() == 2 else g[:, None, 2:])


def compose(g1: Tensor, g2: Tensor) -> Tensor:
    """The product g1 g2: first g2, then g1. Angles are not reduced modulo 2 pi."""
    mirror = (g1[:, 0] - g2[:, 0]).abs()  # XOR
    angle = g1[:, 1] + (1 - 2 * g1[:, 0]) * g2[:, 1]
    return torch.cat([mirror[:, None], angle[:, None], apply(g1, g2[:, 2:])], dim=1)


def inverse(g: Tensor) -> Tensor:
    """g^-1, with compose(g, inverse(g)) the identity."""
    angle = -(1 - 2 * g[:, 0]) * g[:, 1]
    linear = torch.cat([g[:, :1], angle[:, None], torch.zeros_like(g[:, 2:])], dim=1)
    return torch.cat([linear[:, :2], -apply(linear, g[:, 2:])], dim=1)


def retract(g: Tensor, u: Tensor) -> Tensor:
    """g exp(u) to first order, for motions g (..., 4) and small motions u (..., 3) of the object itself.

    u = (angle, x, y) in the object's frame, radians and pixels: it turns about its own centre, then shifts.
    """
    flat, small = g.reshape(-1, 4), u.reshape(-1, 3)
    angle = flat[:, 1] + (1 - 2 * flat[:, 0]) * small[:, 0]
    shift = flat[:, 2:] + (linear_part(flat) @ small[:, 1:, None])[:, :, 0]
    return torch.cat([flat[:, :1], angle[:, None], shift], dim=1).reshape(g.shape)
