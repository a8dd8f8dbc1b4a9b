"""Real solid harmonics of space, and how rotations move them.

    r^l Y_lm(p),  m = -l ... l:      Y_l(R p) = D_l(R) Y_l(p),      D_l(R) orthogonal, (2 l + 1) x (2 l + 1)

They are polynomials of degree l, so Y_l(-p) = (-1)^l Y_l(p). Order and signs are those of e3nn: without the
phase of Condon and Shortley, the polar axis is y, so that Y_1(p) = p = (x, y, z). Their squares sum to r^2l.
"""

import math
from collections.abc import Iterable
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


def wigner(degree: int, turns: Tensor) -> Tensor:
    """D_l of rotation matrices (B, 3, 3), or of unit quaternions (B, 4): (B, 2 l + 1, 2 l + 1)."""
    return wigners((degree,), turns)[degree]


def wigners(degrees: Iterable[int], turns: Tensor) -> dict[int, Tensor]:
    """D_l of several degrees l at once, each (B, 2 l + 1, 2 l + 1).

    R = R_y(a) R_x(b) R_y(c), and turns about y and x hold cosines and sines of multiples of their angles:

        D_l(R_y(a)) = Z(a),  cos(m a) on the diagonal and -sin(m a) beside it at (m, -m)
        D_l(R_x(b)) = K Z(b) K^T = sum_k cos(k b) C_k + sin(k b) S_k,     constant K, C_k, S_k

    so that nothing is exponentiated. The angles are read from the quaternion, exactly also where a and c are
    not unique; but there they have no derivative, so what is differentiated is made from harmonics, which are
    polynomials of R: those at fixed points and at the rotated ones determine D = Y(R P) Y(P)^+.

    Args:
        degrees: l >= 0.
        turns: rotation matrices (B, 3, 3), or unit quaternions [w, x, y, z] (B, 4).
    """
    in_quaternions = turns.shape[-1] == 4
    matrices = rotations_of_quaternions(turns) if in_quaternions else turns
    found = {0: torch.ones_like(matrices[:, :1, :1]), 1: matrices}
    higher = [degree for degree in dict.fromkeys(degrees) if degree > 1]
    if higher and _is_differentiated(turns):
        found |= {degree: _from_harmonics(degree, matrices) for degree in higher}
    elif higher:
        quaternions = turns if in_quaternions else quaternions_of_rotations(turns)
        found |= _from_angles(higher, quaternions)
    return found


def rotations_of_quaternions(q: Tensor) -> Tensor:
    """The matrices R of quaternions (B, 4) of any length but 0, R p = q p q^-1, (B, 3, 3)."""
    w, x, y, z = (q / q.norm(dim=1, keepdim=True)).unbind(dim=1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def quaternions_of_rotations(r: Tensor) -> Tensor:
    """Quaternions (B, 4) of rotation matrices (B, 3, 3), not of unit length and of either sign.

    The longest column of 4 q q^T, which no cancellation has spoilt.
    """
    off = [r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]]
    trace = r.diagonal(dim1=1, dim2=2).sum(1)
    outer = r.new_zeros(len(r), 4, 4)
    outer[:, 0, 0] = 1 + trace
    outer[:, 0, 1:] = outer[:, 1:, 0] = torch.stack(off, dim=1)
    one = torch.eye(3, dtype=r.dtype, device=r.device)
    outer[:, 1:, 1:] = r + r.mT + (1 - trace)[:, None, None] * one
    longest = outer.norm(dim=2).argmax(dim=1)
    return outer[torch.arange(len(r), device=r.device), longest]


def _is_differentiated(x: Tensor) -> bool:
    """Whether a derivative is taken, backward or forward."""
    forward = torch.autograd.forward_ad.unpack_dual(x).tangent is not None
    return forward or (x.requires_grad and torch.is_grad_enabled())


def _from_angles(degrees: list[int], q: Tensor) -> dict[int, Tensor]:
    w, x, y, z = q.unbind(dim=1)
    half_sum, half_difference = torch.atan2(y, w), torch.atan2(-z, x)
    b = 2 * torch.atan2(torch.hypot(x, z), torch.hypot(w, y))
    top = max(degrees)
    m = torch.arange(-top, top + 1, dtype=q.dtype, device=q.device)
    angles = torch.stack([half_sum + half_difference, b, half_sum - half_difference])
    (cos_a, cos_b, cos_c), (sin_a, sin_b, sin_c) = (
        wave(angles[..., None] * m) for wave in (torch.cos, torch.sin)
    )
    waves = torch.cat([cos_b[:, top:], sin_b[:, top:]], dim=1)
    found = {}
    for degree in degrees:
        n, inner = 2 * degree + 1, slice(top - degree, top + degree + 1)
        used = torch.cat([waves[:, : degree + 1], waves[:, top + 1 : top + 2 + degree]], dim=1)
        tilt = (used @ _tilts(degree, q.dtype, q.device)).unflatten(1, (n, n))
        rows = (part[:, inner, None] for part in (cos_a, sin_a))
        columns = (part[:, None, inner] for part in (cos_c, sin_c))
        cos, sin = rows
        turned = torch.addcmul(cos * tilt, sin, tilt.flip(1), value=-1)
        cos, sin = columns
        found[degree] = torch.addcmul(cos * turned, sin, turned.flip(2))
    return found


@lru_cache(maxsize=64)
def _tilts(degree: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """C_0 ... C_l and S_0 ... S_l, see `wigners`, (2 l + 2, (2 l + 1)^2)."""
    onto_x = torch.tensor(
        [[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]], dtype=torch.float64
    )  # brings y to x
    k = _from_harmonics(degree, onto_x)[0]
    n = 2 * degree + 1
    waves = torch.zeros(2, degree + 1, n, n, dtype=torch.float64)
    for m in range(-degree, degree + 1):
        waves[0, abs(m), degree + m, degree + m] = 1
        waves[1, abs(m), degree + m, degree - m] = -1 if m > 0 else (1 if m < 0 else 0)
    return (k @ waves @ k.T).reshape(2 * degree + 2, n * n).to(device, dtype)


def _from_harmonics(degree: int, rotations: Tensor) -> Tensor:
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
