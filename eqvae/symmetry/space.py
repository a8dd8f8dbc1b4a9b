"""The rotations of space, SO(3), and with the inversion O(3).

A batch of elements is one tensor g of shape (B, 5) with rows [parity, w, x, y, z], meaning

    g p = (-1)^parity R(q) p,      q = w + x i + y j + z k a unit quaternion with w >= 0,

where R(q) p = q p q^-1. Parity 1 turns every point into its opposite and then rotates; a mirror is the
inversion with half a turn about the mirror's normal. Axes form a right-handed system, angles are radians.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.wigner import quaternions_of_rotations, rotations_of_quaternions

_COVERING = 235.0  # degrees n^(1/3), the largest measured for n from 100 to 8000
_SPIRAL = (math.sqrt(2), 1.533751168755204288118041413)  # of super-Fibonacci grids, see `grid`


@dataclass(frozen=True)
class SpaceRotations(Group):
    """The group SO(3), or with `parity` O(3).

    Args:
        parity: whether the inversion p -> -p, and with it every mirror, belongs to the group.

    Example:
        >>> SpaceRotations().name, SpaceRotations(parity=True).name
        ('SO(3)', 'O(3)')
    """

    parity: bool = False

    @property
    def name(self) -> str:
        return "O(3)" if self.parity else "SO(3)"

    @property
    def linear(self) -> "SpaceRotations":
        """The same: there are no shifts to leave out."""
        return self

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        one = torch.zeros(n, 5, dtype=dtype)
        one[:, 1] = 1
        return one

    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        return spin(parity_of(g1) + parity_of(g2), _product(g1[:, 1:], g2[:, 1:]))

    def inverse(self, g: Tensor) -> Tensor:
        return torch.cat([g[:, :2], -g[:, 2:]], dim=1)

    def exp(self, u: Tensor) -> Tensor:
        """exp(u): a turn by |u| about the axis u, (B, 3) radians -> (B, 5)."""
        half = u.norm(dim=1, keepdim=True) / 2
        q = torch.cat([half.cos(), torch.sinc(half / math.pi) * u / 2], dim=1)
        return spin(torch.zeros_like(half[:, 0]), q)

    def log(self, g: Tensor) -> Tensor:
        if bool((parity_of(g) != 0).any()):
            raise ValueError("g must hold no mirror image: log reaches rotations only.")
        q = spin(parity_of(g), g[:, 1:])[:, 1:]
        size = q[:, 1:].norm(dim=1, keepdim=True)
        half = torch.atan2(size, q[:, :1])
        return 2 * q[:, 1:] / torch.sinc(half / math.pi)

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        return torch.einsum("bij,b...j->b...i", rotation_matrix(g), points)

    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws from the Haar measure, (n, 5).

        Raises:
            ValueError: if `shift` is not 0: this group has no translations.
        """
        if shift:
            raise ValueError(f"shift must be 0: {self.name} has no translations; got {shift:g}.")
        q = torch.randn(n, 4, generator=generator)
        parity = (torch.rand(n, generator=generator) < 0.5).to(q) * float(self.parity)
        return spin(parity, q)

    def grid(self, n: int) -> Tensor:
        """n rotations spread evenly, and each with the inversion if there is one.

        References:
            Alexa, Super-Fibonacci Spirals: Fast, Low-Discrepancy Sampling of SO(3) (CVPR 2022), algorithm 1;
            turned here so that the first one is the identity.
        """
        s = torch.arange(n, dtype=torch.float64) + 0.5
        inner, outer = (s / n).sqrt(), (1 - s / n).sqrt()
        first, second = (2 * math.pi * s / step for step in _SPIRAL)
        q = torch.stack(
            [inner * first.sin(), inner * first.cos(), outer * second.sin(), outer * second.cos()],
            dim=1,
        )
        none = torch.zeros(n, dtype=torch.float64)
        turns = spin(none, q)
        turns = self.compose(self.inverse(turns[:1]).expand(n, -1), turns)
        turns[0] = self.identity(dtype=torch.float64)[0]
        return torch.cat([turns, spin(none + 1, turns[:, 1:])]) if self.parity else turns

    def generators(self) -> Mapping[str, Generator]:
        axes = {"rotation_x": (1.0, 0.0, 0.0), "rotation_y": (0.0, 1.0, 0.0)}
        axes |= {"rotation_z": (0.0, 0.0, 1.0)}
        return {
            name: Generator(name, axis, "rad", period=2 * math.pi) for name, axis in axes.items()
        }


def covering_degrees(n: int) -> float:
    """How far any rotation is from the nearest of `SpaceRotations.grid(n)` at most, degrees.

    About 235 / n^(1/3), as measured with random rotations; half of that on average.
    """
    return min(_COVERING / n ** (1 / 3), 180.0)


def covering_size(degrees: float) -> int:
    """How many rotations a grid needs so that none is further from it than so many degrees.

    Raises:
        ValueError: if `degrees` is not positive.
    """
    if not degrees > 0:
        raise ValueError(
            f"degrees must be positive, the largest distance to a grid; got {degrees}."
        )
    return math.ceil((_COVERING / degrees) ** 3)


def spin(parity: Tensor, quaternion: Tensor) -> Tensor:
    """Elements from parities (B,), taken modulo 2, and quaternions (B, 4) of any length but 0: (B, 5)."""
    q = quaternion / quaternion.norm(dim=1, keepdim=True)
    return torch.cat([parity.remainder(2)[:, None], torch.where(q[:, :1] < 0, -q, q)], dim=1)


def parity_of(g: Tensor) -> Tensor:
    """1 where an element holds the inversion, else 0, of elements (..., 5) or more: (...,)."""
    return g[..., 0]


def inversion(*, dtype: torch.dtype | None = None) -> Tensor:
    """The element p -> -p, (1, 5)."""
    return torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0]], dtype=dtype)


def mirror(normal: Tensor) -> Tensor:
    """The mirrors in planes with normals (B, 3), half a turn about the normal and the inversion: (B, 5)."""
    return spin(torch.ones_like(normal[:, 0]), torch.cat([0 * normal[:, :1], normal], dim=1))


def rotation_part(g: Tensor) -> Tensor:
    """The matrices R(q), without the inversion, of elements (B, 5) or motions (B, 8): (B, 3, 3)."""
    return rotations_of_quaternions(g[:, 1:5])


def rotation_matrix(g: Tensor) -> Tensor:
    """The orthogonal matrices (-1)^parity R(q), (B, 3, 3)."""
    return (1 - 2 * parity_of(g))[:, None, None] * rotation_part(g)


def spin_of_matrix(matrix: Tensor) -> Tensor:
    """The elements of orthogonal matrices (B, 3, 3), (B, 5): the inverse of `rotation_matrix`.

    Raises:
        ValueError: if a matrix is not orthogonal.
    """
    one = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    error = (matrix @ matrix.mT - one).abs().amax(dim=(1, 2)).nan_to_num(torch.inf)
    if bool((error > 1e-3).any()):
        raise ValueError(
            f"matrix must be orthogonal, R R^T = 1; number {int(error.argmax())} is off by "
            f"{float(error.max()):.2g}. Take the U V^T of its singular value decomposition."
        )
    parity = (torch.linalg.det(matrix) < 0).to(matrix)
    r = (1 - 2 * parity)[:, None, None] * matrix
    return spin(parity, quaternions_of_rotations(r))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Products of quaternions, (B, 4)."""
    aw, av, bw, bv = a[:, :1], a[:, 1:], b[:, :1], b[:, 1:]
    scalar = aw * bw - (av * bv).sum(1, keepdim=True)
    return torch.cat([scalar, aw * bv + bw * av + torch.linalg.cross(av, bv)], dim=1)
