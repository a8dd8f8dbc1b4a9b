"""Motions of the plane: elements of SE(2), with reflections E(2), and with scales SIM(2).

A batch of motions is one tensor g of shape (B, 4) with rows [reflection, angle, x, y], meaning

    g p = R(angle) F^reflection p + (x, y),      F (x, y) = (x, -y),

reflection first, then rotation, then shift. Angles are radians, counter-clockwise as seen on screen;
positions and shifts are pixels from the image centre, x to the right, y up.

Motions that scale have a fifth column, rows [reflection, angle, x, y, log_scale] of shape (B, 5):

    g p = e^log_scale R(angle) F^reflection p + (x, y).

Four columns are the scale 1; what is made of motions has five columns where one of them has.
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
    log_scale: float | Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Build motions; scalars and single shifts are broadcast against batches.

    Args:
        angle: radians, counter-clockwise on screen, scalar or (B,).
        shift: (x, y) in pixels, (2,) or (B, 2).
        reflection: 0 or 1, scalar or (B,).
        log_scale: natural logarithm of how many times larger it makes things, scalar or (B,); None for
            motions that have no scale.
        dtype: of the result; the default dtype if None.

    Returns:
        Motions, shape (B, 4), or (B, 5) with a log-scale; B = 1 when every argument is single.
    """
    dtype = dtype or torch.get_default_dtype()
    angle = torch.as_tensor(angle, dtype=dtype)
    device = angle.device
    shift = torch.as_tensor(shift, dtype=dtype, device=device)
    reflection = torch.as_tensor(reflection, dtype=dtype, device=device)
    columns = [reflection, angle, shift[..., 0], shift[..., 1]]
    if log_scale is not None:
        columns.append(torch.as_tensor(log_scale, dtype=dtype, device=device))
    columns = torch.broadcast_tensors(*(column.reshape(-1) for column in columns))
    return torch.stack(columns, dim=1)


def reflection_of(g: Motions) -> Motions:
    """1 where a motion mirrors, else 0, of motions (..., 4): (...,)."""
    return g[..., 0]


def angle_of(g: Motions) -> Motions:
    """The angles of motions (..., 4), radians, (...,)."""
    return g[..., 1]


def shift_of(g: Motions) -> Motions:
    """The shifts (x, y) of motions (..., 4), pixels, (..., 2): where they bring the centre."""
    return g[..., 2:4]


def has_scale(g: Motions) -> bool:
    """Whether motions have a column for a scale."""
    return g.shape[-1] > 4


def log_scale_of(g: Motions) -> Motions:
    """Natural logarithms of the scales of motions (..., 4) or (..., 5), (...,): 0 where they have none."""
    if has_scale(g):
        return g[..., 4]
    return torch.zeros_like(g[..., 1]) if torch.is_tensor(g) else np.zeros_like(g[..., 1])


def with_angle(g: Tensor, angle: Tensor) -> Tensor:
    """The motions (..., 4) with other angles (...,), radians."""
    return torch.cat([g[..., :1], angle[..., None], g[..., 2:]], dim=-1)


def with_shift(g: Tensor, shift: Tensor) -> Tensor:
    """The motions (..., 4) with other shifts (..., 2), pixels."""
    rest = [g[..., 4:]] if has_scale(g) else []
    return torch.cat([g[..., :2], shift, *rest], dim=-1)


def with_log_scale(g: Tensor, log_scale: Tensor) -> Tensor:
    """The motions (..., 4) or (..., 5) with other log-scales (...,), (..., 5)."""
    return torch.cat([g[..., :4], log_scale[..., None]], dim=-1)


def without_scale(g: Motions) -> Motions:
    """The motions (..., 4) that turn, mirror and shift alike, at scale 1."""
    return g[..., :4]


def linear_of(g: Tensor) -> Tensor:
    """The turns, mirrors and scales of motions (..., 4) or (..., 5), without their shifts."""
    return with_shift(g, torch.zeros_like(shift_of(g)))


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
    """The matrices e^log_scale R(angle) F^reflection, orthogonal where nothing is scaled, (B, 2, 2)."""
    cos, sin = cos_sin(g[:, 1])
    sign = 1 - 2 * g[:, 0]
    part = torch.stack([cos, -sign * sin, sin, sign * cos], dim=1).reshape(-1, 2, 2)
    return part * g[:, 4].exp()[:, None, None] if has_scale(g) else part


def apply(g: Tensor, points: Tensor) -> Tensor:
    """Move points: g p, for points (B, 2) or (B, N, 2) in pixels."""
    moved = torch.einsum("bij,b...j->b...i", linear_part(g), points)
    return moved + (shift_of(g) if points.dim() == 2 else g[:, None, 2:4])


def compose(g1: Tensor, g2: Tensor) -> Tensor:
    """The product g1 g2: first g2, then g1. Angles are not reduced modulo 2 pi."""
    mirror = (g1[:, 0] - g2[:, 0]).abs()  # XOR
    angle = g1[:, 1] + (1 - 2 * g1[:, 0]) * g2[:, 1]
    columns = [mirror[:, None], angle[:, None], apply(g1, shift_of(g2))]
    if has_scale(g1) or has_scale(g2):
        columns.append((log_scale_of(g1) + log_scale_of(g2))[:, None])
    return torch.cat(columns, dim=1)


def inverse(g: Tensor) -> Tensor:
    """g^-1, with compose(g, inverse(g)) the identity."""
    angle = -(1 - 2 * g[:, 0]) * g[:, 1]
    rest = [-g[:, 4:]] if has_scale(g) else []
    linear = torch.cat([g[:, :1], angle[:, None], torch.zeros_like(shift_of(g)), *rest], dim=1)
    return with_shift(linear, -apply(linear, shift_of(g)))


def retract(g: Tensor, u: Tensor) -> Tensor:
    """g exp(u) to first order, for motions g and small motions u of the object itself.

    u = (angle, x, y) in the object's frame, radians and pixels: it turns about its own centre, then shifts.
    With a fourth coordinate it also grows, by e^u_3.

    Args:
        g: (..., 4) or (..., 5).
        u: (..., 3) or (..., 4).

    Returns:
        Motions, (..., 5) where either has a scale, else (..., 4).
    """
    flat, small = g.reshape(-1, g.shape[-1]), u.reshape(-1, u.shape[-1])
    angle = flat[:, 1] + (1 - 2 * flat[:, 0]) * small[:, 0]
    shift = shift_of(flat) + (linear_part(flat) @ small[:, 1:3, None])[:, :, 0]
    columns = [flat[:, :1], angle[:, None], shift]
    if has_scale(flat) or small.shape[1] > 3:
        grown = small[:, 3] if small.shape[1] > 3 else 0
        columns.append((log_scale_of(flat) + grown)[:, None])
    moved = torch.cat(columns, dim=1)
    return moved.reshape(*g.shape[:-1], moved.shape[1])
