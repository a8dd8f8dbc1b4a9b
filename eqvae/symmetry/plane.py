"""The groups of motions of the plane: SE(2), E(2) and their subgroups R^2 x| H.

H <= O(2) is the linear part, the rotations and reflections that a part of a model respects: a cyclic group
C_N, a dihedral group D_N, SO(2), O(2) or the trivial group; groups are named after it. Translations always
belong to the group: every part of eqvae that sees a grid moves with the object. The rows of an element are
[reflection, angle, x, y], see `motions`. This is the only file that touches escnn's groups.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import (
    angle_of,
    apply,
    compose,
    identity,
    inverse,
    motion,
    reflection_of,
    shift_of,
)

# escnn 1.0.11 says at import that it has no py3nj, which only groups in 3-D would use.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`py3nj` package not found")
    import escnn.group
    import escnn.group._numerical
    from escnn import gspaces

# escnn 1.0.11 hands an np.matrix to scikit-learn's randomized_svd, which refuses it, so that with
# scikit-learn installed every D_N and O(2) kernel fails. None makes escnn fall back to scipy.
# Can go with an escnn release that no longer does so.
escnn.group._numerical.randomized_svd = None


@dataclass(frozen=True)
class PlaneMotions(Group):
    """The motions R^2 x| H with the rotations and reflections H <= O(2).

    Args:
        rotations: number N of rotations (C_N or D_N); None for every angle (SO(2) or O(2)).
        reflections: whether mirror images count as the same object (D_N, O(2)).

    Raises:
        ValueError: if `rotations` is not a whole number >= 1 or None.

    Example:
        >>> PlaneMotions(rotations=8).name, PlaneMotions(reflections=True).name
        ('C8', 'O(2)')
    """

    rotations: int | None = None
    reflections: bool = False

    def __post_init__(self) -> None:
        whole = isinstance(self.rotations, int) and not isinstance(self.rotations, bool)
        if self.rotations is not None and not (whole and self.rotations >= 1):
            raise ValueError(
                f"rotations must be a whole number >= 1, or null for every angle; got {self.rotations!r}."
            )

    @classmethod
    def cyclic(cls, order: int) -> "PlaneMotions":
        return cls(rotations=order)

    @classmethod
    def dihedral(cls, order: int) -> "PlaneMotions":
        return cls(rotations=order, reflections=True)

    @classmethod
    def so2(cls) -> "PlaneMotions":
        return cls()

    @classmethod
    def o2(cls) -> "PlaneMotions":
        return cls(reflections=True)

    @classmethod
    def trivial(cls) -> "PlaneMotions":
        return cls(rotations=1)

    @property
    def name(self) -> str:
        if self.rotations is None:
            return "O(2)" if self.reflections else "SO(2)"
        if self == PlaneMotions.trivial():
            return "trivial"
        return f"{'D' if self.reflections else 'C'}{self.rotations}"

    @property
    def is_finite(self) -> bool:
        """Whether there are finitely many rotations and mirrors."""
        return self.rotations is not None

    @property
    def linear(self) -> "PlaneMotions":
        """The same rotations and mirrors, without scales."""
        return self

    @property
    def has_scales(self) -> bool:
        """Whether objects may be scaled as well: see `Similarities`."""
        return False

    @property
    def order(self) -> float:
        """Number of elements |H| (infinite for SO(2) and O(2))."""
        return math.inf if self.rotations is None else self.rotations * (1 + self.reflections)

    def separates(self, frequency: int) -> bool:
        """Whether the H-irrep of this angular frequency is still the two-dimensional one of SO(2).

        C_N sees frequencies modulo N, so only l < N / 2 (and l = 0) keep their meaning as an angle.
        """
        return frequency == 0 or not self.is_finite or 2 * frequency < self.rotations

    @cached_property
    def group(self) -> escnn.group.Group:
        """escnn's fibre group."""
        if self.rotations is None:
            return escnn.group.o2_group(8) if self.reflections else escnn.group.so2_group(8)
        if self.reflections:
            return escnn.group.dihedral_group(self.rotations)
        return escnn.group.cyclic_group(self.rotations)

    @cached_property
    def gspace(self) -> gspaces.GSpace2D:
        """escnn's G-space on the plane, with the mirror (x, y) -> (x, -y) as the reflection."""
        order = -1 if self.rotations is None else self.rotations
        frequency = {"maximum_frequency": 8} if order == -1 else {}
        if self.reflections:
            if order == 1:
                return gspaces.flip2dOnR2(axis=0.0)
            return gspaces.flipRot2dOnR2(order, axis=0.0, **frequency)
        return gspaces.trivialOnR2() if order == 1 else gspaces.rot2dOnR2(order, **frequency)

    def elements(self) -> Tensor:
        """Every element as a motion without shift, identity first, shape (order, 4).

        Raises:
            ValueError: for SO(2) and O(2), which have infinitely many; use `sample`.
        """
        if not self.is_finite:
            raise ValueError(f"{self.name} has infinitely many elements; draw some with sample(n).")
        angles = torch.arange(self.rotations, dtype=torch.float64) * (2 * math.pi / self.rotations)
        mirrors = torch.arange(1 + int(self.reflections), dtype=torch.float64)
        return motion(
            angle=angles.repeat(len(mirrors)),
            reflection=mirrors.repeat_interleave(len(angles)),
            dtype=torch.float64,
        )

    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw motions from the Haar measure on H, with shifts uniform in a disc.

        Args:
            n: number of draws.
            shift: radius of the disc of shifts, pixels.
            generator: source of randomness.

        Returns:
            Motions [reflection, angle, x, y], shape (n, 4).
        """
        u = torch.rand(n, 4, generator=generator)
        if self.rotations is None:
            angle = 2 * math.pi * u[:, 0]
        else:
            angle = (2 * math.pi / self.rotations) * torch.floor(u[:, 0] * self.rotations)
        reflection = (u[:, 1] < 0.5).float() if self.reflections else torch.zeros(n)
        radius, phase = shift * u[:, 2].sqrt(), 2 * math.pi * u[:, 3]
        tau = torch.stack([radius * phase.cos(), radius * phase.sin()], dim=1)
        return motion(angle=angle, shift=tau, reflection=reflection)

    def grid(self, n: int) -> Tensor:
        """Turns by 2 pi k / n, and each mirrored if there are reflections; of a finite group its elements."""
        if self.is_finite:
            return self.elements()
        return PlaneMotions(rotations=n, reflections=self.reflections).elements()

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        return identity(n, dtype=dtype)

    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        return compose(g1, g2)

    def inverse(self, g: Tensor) -> Tensor:
        return inverse(g)

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        return apply(g, points)

    def exp(self, u: Tensor) -> Tensor:
        """exp(w, x, y): turning by w while drifting by (x, y), (B, 3) radians and pixels -> (B, 4).

        exp(u) = (R(w), V (x, y)),    V = [[s, -c], [c, s]],  s = sin(w) / w,  c = (1 - cos w) / w
        """
        angle, drift = u[:, 0], u[:, 1:]
        return motion(angle, _drifted(angle, drift), dtype=u.dtype)

    def log(self, g: Tensor) -> Tensor:
        angle = shortest_angle(g)
        # V^-1 = V^T / (s^2 + c^2), and s^2 + c^2 = (sin(w / 2) / (w / 2))^2
        size = torch.sinc(angle / (2 * math.pi)).square()
        drift = _drifted(-angle, shift_of(g)) / size[:, None]
        return torch.cat([angle[:, None], drift], dim=1)

    def generators(self) -> Mapping[str, Generator]:
        turn = {"rotation": Generator("rotation", (1.0, 0.0, 0.0), "rad", period=2 * math.pi)}
        return ({} if self.is_finite else turn) | {
            "shift_x": Generator("shift_x", (0.0, 1.0, 0.0), "px"),
            "shift_y": Generator("shift_y", (0.0, 0.0, 1.0), "px"),
        }

    @property
    def ambient(self) -> "PlaneMotions":
        return PlaneMotions(reflections=self.reflections)


def shortest_angle(g: Tensor) -> Tensor:
    """The angles of motions without mirror within half a turn, (B,).

    Raises:
        ValueError: if one mirrors.
    """
    if bool((reflection_of(g) != 0).any()):
        raise ValueError("g must hold no mirror image: log reaches turns and shifts only.")
    return (angle_of(g) + math.pi) % (2 * math.pi) - math.pi


def _drifted(angle: Tensor, drift: Tensor) -> Tensor:
    """V(w) (x, y) for angles (B,) and drifts (B, 2); exact at w = 0."""
    s = torch.sinc(angle / math.pi)
    c = torch.sin(angle / 2) * torch.sinc(angle / (2 * math.pi))  # (1 - cos w) / w
    x, y = drift.unbind(dim=1)
    return torch.stack([s * x - c * y, c * x + s * y], dim=1)
