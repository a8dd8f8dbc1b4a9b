"""Real solid harmonics of space, and how rotations move them.

    r^l Y_lm(p),  m = -l ... l:      Y_l(R p) = D_l(R) Y_l(p),      D_l(R) orthogonal, (2 l + 1) x (2 l + 1)

They are polynomials of degree l, so Y_l(-p) = (-1)^l Y_l(p). Order and signs are those of e3nn: without the
phase of Condon and Shortley, the polar axis is y, so that Y_1(p) = p = (x, y, z). Their squares sum to r^2l.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


def solid_harmonics(degree: int, points: Tensor) -> Tensor:
    """r^l Y_lm at points (..., 3): (..., 2 l + 1), m from -l to l.

    (a + i b)^m holds the azimuth about the polar axis c, and Pi_lm the rest:

        Pi_mm = (2 m - 1)!!,  (l - m) Pi_lm = (2 l - 1) c Pi_{l-1,m} - (l + m - 1) r^2 Pi_{l-2,m}

    Args:
        degree: l >= 0.
        points: (x, y, z), (..., 3).
    """
    b, c, a = points.unbind(dim=-1)  # the polar axis is y, then z and x
    r2 = points.square().sum(-1)
    cos, sin = [torch.ones_like(a)], [torch.zeros_like(a)]
    for _ in range(degree):
        cos, sin = (
            [*cos, a * cos[-1] - b * sin[-1]],
            [*sin, a * sin[-1] + b * cos[-1]],
        )
    found = [torch.zeros_like(a)] * (2 * degree + 1)
    for m in range(degree + 1):
        before, here = torch.zeros_like(a), torch.full_like(a, math.prod(range(1, 2 * m, 2)))
        for k in range(m + 1, degree + 1):
            step = ((2 * k - 1) * c * here - (k + m - 1) * r2 * before) / (k - m)
            before, here = here, step
        size = math.factorial(degree - m) / math.factorial(degree + m)
        here = here * math.sqrt(size * (2 if m else 1))
        found[degree + m], found[degree - m] = here * cos[m], here * (sin[m] if m else cos[m])
    return torch.stack(found, dim=-1)


def wigner(degree: int, rotations: Tensor) -> Tensor:
    """D_l of rotation matrices (B, 3, 3): (B, 2 l + 1, 2 l + 1).

    The harmonics at fixed points and at the rotated ones determine it: D = Y(R P) Y(P)^+, without error but
    that of rounding.
    """
    if degree == 0:
        return torch.ones_like(rotations[:, :1, :1])
    if degree == 1:
        return rotations
    points, inverse = (part.to(rotations) for part in _fixed(degree))
    moved = solid_harmonics(degree, torch.einsum("bij,nj->bni", rotations, points))
    return torch.einsum("bnm,nk->bmk", moved, inverse)


@lru_cache(maxsize=64)
def _fixed(degree: int) -> tuple[Tensor, Tensor]:
    """Points spread over the sphere (n, 3), and the transposed pseudo-inverse of their harmonics."""
    n = 4 * (2 * degree + 1)
    i = torch.arange(n, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * i / n, math.pi * (1 + math.sqrt(5)) * i
    ring = (1 - height.square()).sqrt()
    points = torch.stack([ring * turn.cos(), height, ring * turn.sin()], dim=1)
    return points, torch.linalg.pinv(solid_harmonics(degree, points)).T.contiguous()
