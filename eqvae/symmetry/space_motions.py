"""The motions of space, SE(3), and with the inversion E(3).

A batch of elements is one tensor g of shape (B, 8) with rows [parity, w, x, y, z, tx, ty, tz], meaning

    g p = (-1)^parity R(q) p + t,

the element of O(3) in the first five columns (see `space`), then the shift t, in the unit of the points.
Algebra elements are u = (omega, v), the axis times the angle and the drift:

    exp(u) = (R(omega), J v),      J = 1 + (1 - cos a) / a^2 [omega] + (a - sin a) / a^3 [omega]^2

where a = |omega|, and [omega] is the matrix of the cross product with omega.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.space import SpaceRotations, parity_of, rotation_matrix, spin_of_matrix

_TERMS = 13  # of series in a^2, which reach rounding up to a = pi


@dataclass(frozen=True)
class SpaceMotions(Group):
    """The group SE(3), or with `parity` E(3).

    Args:
        parity: whether the inversion p -> -p, and with it every mirror, belongs to the group.
        unit: of the points and shifts; for names only.

    Example:
        >>> SpaceMotions().name, SpaceMotions(parity=True).name
        ('SE(3)', 'E(3)')
    """

    parity: bool = False
    unit: str = field(default="A", compare=False)

    @property
    def name(self) -> str:
        return "E(3)" if self.parity else "SE(3)"

    @property
    def linear(self) -> SpaceRotations:
        """The same without shifts, SO(3) or O(3)."""
        return SpaceRotations(self.parity)

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        return space_motion(self.linear.identity(n, dtype=dtype))

    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        turned = self.linear.compose(turn_of(g1), turn_of(g2))
        return torch.cat([turned, self.act(g1, translation_of(g2))], dim=1)

    def inverse(self, g: Tensor) -> Tensor:
        back = self.linear.inverse(turn_of(g))
        return torch.cat([back, -self.linear.act(back, translation_of(g))], dim=1)

    def exp(self, u: Tensor) -> Tensor:
        """exp(omega, v): turning by |omega| about omega while drifting by v, (B, 6) -> (B, 8)."""
        omega, v = u[:, :3], u[:, 3:]
        angle = omega.norm(dim=1, keepdim=True)
        once = torch.linalg.cross(omega, v)
        twice = torch.linalg.cross(omega, once)
        first = torch.sinc(angle / (2 * math.pi)).square() / 2  # (1 - cos a) / a^2
        return torch.cat([self.linear.exp(omega), v + first * once + _third(angle) * twice], dim=1)

    def log(self, g: Tensor) -> Tensor:
        """The shortest (omega, v) with exp(omega, v) = g, (B, 8) -> (B, 6).

        J^-1 = 1 - [omega] / 2 + c [omega]^2,      c = (sin h - h cos h) / (4 h^2 sin h),  h = a / 2
        """
        omega, t = self.linear.log(turn_of(g)), translation_of(g)
        half = omega.norm(dim=1, keepdim=True) / 2
        once = torch.linalg.cross(omega, t)
        twice = torch.linalg.cross(omega, once)
        size = _series(half, [2 * (k + 1) / math.factorial(2 * k + 3) for k in range(_TERMS)])
        c = size / (4 * torch.sinc(half / math.pi))
        return torch.cat([omega, t - once / 2 + c * twice], dim=1)

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        t = translation_of(g)
        return self.linear.act(turn_of(g), points) + (t if points.dim() == 2 else t[:, None])

    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws from the Haar measure of the rotations, and mirrors; shifts are uniform in a ball, (n, 8)."""
        turns = self.linear.sample(n, generator=generator)
        direction = torch.randn(n, 3, generator=generator)
        radius = shift * torch.rand(n, 1, generator=generator).pow(1 / 3)
        return space_motion(turns, radius * torch.nn.functional.normalize(direction))

    def grid(self, n: int) -> Tensor:
        return space_motion(self.linear.grid(n))

    def generators(self) -> Mapping[str, Generator]:
        turns = {
            name: Generator(name, (*turn.direction, 0.0, 0.0, 0.0), turn.unit, turn.period)
            for name, turn in self.linear.generators().items()
        }
        axes = torch.eye(6)[3:].tolist()
        return turns | {
            f"shift_{axis}": Generator(f"shift_{axis}", tuple(direction), self.unit)
            for axis, direction in zip("xyz", axes, strict=True)
        }


def space_motion(turn: Tensor, translation: Tensor | None = None) -> Tensor:
    """Motions from how they turn and where they bring the origin, (B, 8).

    Args:
        turn: elements of O(3) (B, 5), or orthogonal matrices (B, 3, 3) or (3, 3).
        translation: t, (B, 3) or (3,); None for none.

    Raises:
        ValueError: if a matrix is not orthogonal.
    """
    if turn.shape[-1] == 3:
        turn = spin_of_matrix(turn.reshape(-1, 3, 3))
    t = turn.new_zeros(3) if translation is None else translation.to(turn)
    n = max(len(turn), len(t) if t.dim() == 2 else 1)
    return torch.cat([turn.expand(n, 5), t.expand(n, 3)], dim=1)


def turn_of(g: Tensor) -> Tensor:
    """How motions (..., 8) turn and mirror: elements of O(3), (..., 5)."""
    return g[..., :5]


def translation_of(g: Tensor) -> Tensor:
    """The shifts t of motions (..., 8), (..., 3): where they bring the origin."""
    return g[..., 5:8]


def with_translation(g: Tensor, translation: Tensor) -> Tensor:
    """The motions (..., 8), or elements of O(3) (..., 5), with shifts (..., 3), (..., 8)."""
    return torch.cat([turn_of(g), translation], dim=-1)


@dataclass(frozen=True)
class PoseDistance:
    """How far motions are from others.

    Attributes:
        degrees: of the rotation between them, 0 to 180; infinite where just one of the two mirrors.
        shift: between the places where they bring the origin, in the unit of the shifts.
    """

    degrees: Tensor
    shift: Tensor

    def joint(self, reach: float) -> Tensor:
        """sqrt(shift^2 + (reach angle)^2): about how far points at `reach` from the origin move."""
        return torch.hypot(self.shift, reach * torch.deg2rad(self.degrees))


def pose_distance(g: Tensor, h: Tensor) -> PoseDistance:
    """How far motions g are from h, broadcast against each other, (..., 8) or (..., 5) without shifts."""
    a, b = (torch.nn.functional.normalize(x[..., 1:5], dim=-1) for x in (g, h))
    # |a -+ b| = 2 sin and 2 cos of a quarter of the angle: exact where acos of a product is not
    minus, plus = (a - b).norm(dim=-1), (a + b).norm(dim=-1)
    angle = 4 * torch.atan2(torch.minimum(minus, plus), torch.maximum(minus, plus))
    same = parity_of(g) == parity_of(h)
    shift = (translation_of(g) - translation_of(h)).norm(dim=-1)
    return PoseDistance(torch.where(same, torch.rad2deg(angle), math.inf), shift)


def nearest_distance(g: Tensor, right: Tensor, reach: float = 10.0) -> PoseDistance:
    """How far motions are from the nearest of several equally right ones.

    Args:
        g: (B, 8) or (B, 5).
        right: (B, K, ...) for each its own, or (K, ...) for all.
        reach: what a radian costs, in the unit of the shifts: about the radius of the object. It decides
            which one is nearest, and nothing else.
    """
    each = pose_distance(g[:, None], right if right.dim() == 3 else right[None])
    nearest = each.joint(reach).min(dim=1, keepdim=True).indices
    return PoseDistance(*(part.gather(1, nearest)[:, 0] for part in (each.degrees, each.shift)))


def equal_poses(group: Group, g: Tensor, stabiliser: Tensor) -> Tensor:
    """The poses g h that an object can't tell from g, h being what leaves it as it is, (B, K, E).

    Args:
        group: of space.
        g: (B, E).
        stabiliser: (K, E), the identity among them.
    """
    n, k = len(g), len(stabiliser)
    products = group.compose(g.repeat_interleave(k, dim=0), stabiliser.to(g).repeat(n, 1))
    return products.unflatten(0, (n, k))


def affine_matrix(g: Tensor) -> Tensor:
    """The matrices of motions (B, 8) on homogeneous points (p, 1), (B, 4, 4)."""
    matrix = torch.eye(4, dtype=g.dtype, device=g.device).repeat(len(g), 1, 1)
    matrix[:, :3, :3], matrix[:, :3, 3] = rotation_matrix(g), translation_of(g)
    return matrix


def _third(angle: Tensor) -> Tensor:
    """(a - sin a) / a^3, without cancellation."""
    large = angle.clamp(min=1.0)
    small = angle.clamp(max=1.0)
    series = _series(small, [1 / math.factorial(2 * k + 3) for k in range(_TERMS)])
    return torch.where(angle < 1, series, (large - large.sin()) / large**3)


def _series(x: Tensor, coefficients: list[float]) -> Tensor:
    """sum_k (-1)^k c_k x^2k."""
    total = torch.zeros_like(x)
    for c in reversed(coefficients):
        total = c - x.square() * total
    return total
