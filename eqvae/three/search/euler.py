"""Euler angles about the polar axis of the harmonics, and Wigner matrices as trigonometric sums of them.

    R = R_y(alpha) R_x(beta) R_y(gamma),      D_l(R) = Z(alpha) d_l(beta) Z(gamma)

Z mixes m with -m alone. R_x(beta) = K R_y(beta) K^T with one fixed K, so that entries of d_l are sums of
cos(p beta) and sin(p beta), p <= l, with constant coefficients: one matrix product gives d of every degree.
Blocks of degrees 0 ... lmax lie one after the other in a row of F = sum_l (2 l + 1)^2 numbers.

References:
    Pinchon and Hoggan, Rotation matrices for real spherical harmonics (J. Phys. A 40, 2007), section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from eqvae.three.harmonics import all_harmonics

_TURNED = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))  # K: y to x, and z stays
_QUARTER = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # R_y(-90 degrees): x to z


@dataclass(frozen=True)
class Blocks:
    """Constants of the blocks up to lmax; F = sum_l (2 l + 1)^2.

    Attributes:
        lmax: highest degree.
        degree: l of each entry, (F,).
        row: m of each entry, (F,).
        column: m' of each entry, (F,).
        upside: where (-m, m') lies, (F,).
        across: where (m, -m') lies, (F,).
        small: coefficients of d in [1, cos beta ... cos lmax beta, sin beta ... sin lmax beta], (2 lmax +
            1, F).
        generators: X_a of each degree, D(exp(u)) = exp(sum_a u_a X_a), (3, 2 l + 1, 2 l + 1) each.
    """

    lmax: int
    degree: Tensor
    row: Tensor
    column: Tensor
    upside: Tensor
    across: Tensor
    small: Tensor
    generators: tuple[Tensor, ...]

    @property
    def size(self) -> int:
        """F."""
        return len(self.degree)

    def spans(self) -> list[tuple[int, slice]]:
        """Each degree with where its block lies."""
        starts = [block_start(degree) for degree in range(self.lmax + 2)]
        return [(i, slice(starts[i], starts[i + 1])) for i in range(self.lmax + 1)]

    def wigner(self, angles: Tensor) -> Tensor:
        """D of Euler angles (..., 3), (..., F): a view of what is stored entry by entry."""
        alpha, beta, gamma = angles.reshape(-1, 3).T
        m = torch.arange(-self.lmax, self.lmax + 1, dtype=angles.dtype, device=angles.device)
        p = m[self.lmax + 1 :, None] * beta
        waves = torch.cat([torch.ones_like(beta)[None], p.cos(), p.sin()])
        d = self.small.T @ waves  # (F, ...): rows are moved faster than columns
        turn, row, column = m[:, None] * alpha, self.row + self.lmax, self.column + self.lmax
        upside = d[self.upside].mul_(turn.sin()[row])
        d = d.mul_(turn.cos()[row]).sub_(upside)
        turn = m[:, None] * gamma
        across = d[self.across].mul_(turn.sin()[column])
        return d.mul_(turn.cos()[column]).add_(across).T.reshape(*angles.shape[:-1], -1)


def block_start(degree: int) -> int:
    """Where the block of a degree begins: sum of (2 l + 1)^2 below it."""
    return degree * (4 * degree * degree - 1) // 3


@lru_cache(maxsize=32)
def blocks(lmax: int, dtype: torch.dtype, device: torch.device) -> Blocks:
    """The constants in one precision on one device."""
    with torch.inference_mode(False), torch.no_grad():
        return _blocks(lmax, dtype, device)


def _blocks(lmax: int, dtype: torch.dtype, device: torch.device) -> Blocks:
    turned, quarter = _matrices(lmax, _TURNED), _matrices(lmax, _QUARTER)
    labels, small, generators = [], torch.zeros(2 * lmax + 1, block_start(lmax + 1)).double(), []
    for degree in range(lmax + 1):
        m = torch.arange(-degree, degree + 1)
        row, column = torch.meshgrid(m, m, indexing="ij")
        start, n = block_start(degree), 2 * degree + 1
        place = start + (row + degree) * n + column + degree
        upside = start + (degree - row) * n + column + degree
        across = start + (row + degree) * n + degree - column
        kept = (torch.full_like(row, degree), row, column, upside, across)
        labels.append(torch.stack([part.flatten() for part in kept]))
        k, z = turned[degree], quarter[degree]
        # Z(beta) has cos(p beta) at (p, p) and (-p, -p), -sin at (p, -p), sin at (-p, p)
        for p in range(degree + 1):
            up, down = k[:, degree + p], k[:, degree - p]
            cos = torch.outer(up, up) + (torch.outer(down, down) if p else 0)
            small[p, place] = cos
            if p:
                small[lmax + p, place] = torch.outer(down, up) - torch.outer(up, down)
        about_y = torch.diag(-m.double()).flip(1)  # X_{m,-m} = -m
        about_x = k @ about_y @ k.T
        about_z = z @ about_x @ z.T
        generators.append(torch.stack([about_x, about_y, about_z]).to(device, dtype))
    labels = torch.cat(labels, dim=1).to(device)
    return Blocks(lmax, *labels, small.to(device, dtype), tuple(generators))


def _matrices(lmax: int, rotation: Sequence[Sequence[float]]) -> list[Tensor]:
    """D of one rotation by what it does to harmonics at fixed points, for each degree."""
    n = 4 * (2 * lmax + 1)
    height = 1 - (2 * torch.arange(n, dtype=torch.float64) + 1) / n
    turn = math.pi * (1 + math.sqrt(5)) * torch.arange(n, dtype=torch.float64)
    ring = (1 - height.square()).sqrt()
    points = torch.stack([ring * turn.cos(), height, ring * turn.sin()], dim=1)
    still = all_harmonics(lmax, points)
    moved = all_harmonics(lmax, points @ torch.tensor(rotation, dtype=torch.float64).T)
    parts = [slice(i**2, (i + 1) ** 2) for i in range(lmax + 1)]
    return [torch.linalg.lstsq(still[:, part], moved[:, part]).solution.T for part in parts]


def euler_angles(elements: Tensor) -> Tensor:
    """(alpha, beta, gamma) of the rotation in elements of O(3) or E(3), (..., E) -> (..., 3).

    Parity is not looked at. At the poles, beta = 0 or pi, only alpha +- gamma is determined; the other one
    is set to 0.
    """
    w, x, y, z = elements[..., 1:5].unbind(-1)
    beta = 2 * torch.atan2(torch.hypot(x, z), torch.hypot(w, y))
    plus, minus = torch.atan2(y, w), torch.atan2(-z, x)
    return torch.stack([plus + minus, beta, plus - minus], dim=-1)


def elements_of(angles: Tensor, parity: float = 0.0) -> Tensor:
    """Elements of O(3) with w >= 0 from Euler angles, (..., 3) -> (..., 5)."""
    alpha, beta, gamma = angles.unbind(-1)
    c, s = (beta / 2).cos(), (beta / 2).sin()
    plus, minus = (alpha + gamma) / 2, (alpha - gamma) / 2
    q = torch.stack([c * plus.cos(), s * minus.cos(), c * plus.sin(), -s * minus.sin()], dim=-1)
    q = torch.where(q[..., :1] < 0, -q, q)
    return torch.cat([torch.full_like(q[..., :1], parity), q], dim=-1)


def wigner_blocks(lmax: int, elements: Tensor) -> Tensor:
    """D_l of the rotations in elements of O(3) or E(3), for every degree at once, (..., E) -> (..., F)."""
    return blocks(lmax, elements.dtype, elements.device).wigner(euler_angles(elements))


def rotated(coefficients: Tensor, elements: Tensor) -> Tensor:
    """Coefficients as the lift of moved points has them, with the sign (-1)^l of an inversion.

    Args:
        coefficients: (..., (lmax + 1)^2).
        elements: of O(3), one row (5,) or (B, 5) for the first axis of the coefficients.
    """
    lmax = math.isqrt(coefficients.shape[-1]) - 1
    d, parity, parts = wigner_blocks(lmax, elements), elements[..., :1], []
    for degree, span in blocks(lmax, coefficients.dtype, coefficients.device).spans():
        part = coefficients[..., degree**2 : (degree + 1) ** 2]
        block = (d[..., span] * (1 - 2 * parity * (degree % 2))).unflatten(-1, (2 * degree + 1, -1))
        several = "b" if elements.dim() == 2 else ""
        parts.append(torch.einsum(f"{several}ij,{several}...j->{several}...i", block, part))
    return torch.cat(parts, dim=-1)
