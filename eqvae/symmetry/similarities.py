"""Similarities of the plane: SIM(2) = R^2 x| (H x R+), motions that scale as well.

    g p = e^s R(angle) F^reflection p + (x, y),      rows [reflection, angle, x, y, s], see `motions`.

Scales form no compact group: there is no uniform distribution over all of them, no invariant prior, and no
image that holds an object at every scale. So a `Similarities` says which scales its data have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator
from eqvae.symmetry.motions import log_scale_of, motion, shift_of, with_log_scale
from eqvae.symmetry.plane import PlaneMotions, shortest_angle

_NEAR = 0.5  # of |a|, where the series of (e^a - 1) / a is used
_TERMS = 15  # of it: the next is below 1e-17


@dataclass(frozen=True)
class Similarities(PlaneMotions):
    """The group R^2 x| (H x R+) with the rotations and reflections H <= O(2) and every scale.

    Args:
        rotations, reflections: of H, see `PlaneMotions`.
        scales: the smallest and the largest scale that `sample` draws, log-uniformly.

    Raises:
        ValueError: if the scales are no two positive numbers with 1 between them.

    Example:
        >>> (
        ...     Similarities().name,
        ...     Similarities(reflections=True).name,
        ...     len(Similarities().identity()[0]),
        ... )
        ('SIM(2)', 'O(2) x R+', 5)
    """

    scales: Sequence[float] = (0.6, 1.6)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "scales", check_scales(self.scales))

    @property
    def name(self) -> str:
        return "SIM(2)" if self.linear == PlaneMotions() else f"{self.linear.name} x R+"

    @property
    def linear(self) -> PlaneMotions:
        return PlaneMotions(self.rotations, self.reflections)

    @property
    def has_scales(self) -> bool:
        return True

    @property
    def order(self) -> float:
        return math.inf

    def elements(self) -> Tensor:
        """The rotations and mirrors, at scale 1 and without shift, identity first, (|H|, 5)."""
        return _at_scale_one(super().elements())

    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        g = super().sample(n, shift=shift, generator=generator)
        low, high = map(math.log, self.scales)
        return with_log_scale(g, low + (high - low) * torch.rand(n, generator=generator))

    def grid(self, n: int) -> Tensor:
        """The grid of H, at scale 1."""
        return _at_scale_one(self.linear.grid(n))

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        return _at_scale_one(super().identity(n, dtype=dtype))

    def exp(self, u: Tensor) -> Tensor:
        """exp(w, x, y, s): turning by w and growing by e^s while drifting by (x, y), (B, 4) -> (B, 5).

        exp(u) = (e^s R(w), V (x, y)),    V = (e^a - 1) / a,  a = s + i w, as complex numbers
        """
        turn, x, y, growth = u.unbind(dim=1)
        shift = torch.view_as_real(_drift(growth, turn) * torch.complex(x, y))
        return motion(turn, shift, log_scale=growth, dtype=u.dtype)

    def log(self, g: Tensor) -> Tensor:
        turn, growth = shortest_angle(g), log_scale_of(g)
        x, y = shift_of(g).unbind(dim=1)
        drift = torch.view_as_real(torch.complex(x, y) / _drift(growth, turn))
        return torch.cat([turn[:, None], drift, growth[:, None]], dim=1)

    def generators(self) -> Mapping[str, Generator]:
        flat = {
            name: Generator(name, (*part.direction, 0.0), part.unit, part.period)
            for name, part in super().generators().items()
        }
        return flat | {"dilation": Generator("dilation", (0.0, 0.0, 0.0, 1.0), "log")}

    @property
    def ambient(self) -> "Similarities":
        return Similarities(reflections=self.reflections, scales=self.scales)


def check_scales(scales: Sequence[float]) -> tuple[float, float]:
    """A range of scales as two numbers.

    Raises:
        ValueError: if they are no two positive numbers with 1 between them.
    """
    pair = tuple(float(scale) for scale in scales)
    if not (len(pair) == 2 and all(map(math.isfinite, pair)) and 0 < pair[0] <= 1 <= pair[1]):
        raise ValueError(
            f"scales must be two positive numbers with 1 between them, such as [0.6, 1.6]; got "
            f"{list(pair)}. Divide both by the scale that is yours as it is."
        )
    return pair


def _at_scale_one(g: Tensor) -> Tensor:
    return with_log_scale(g, torch.zeros_like(g[..., 0]))


def _drift(growth: Tensor, turn: Tensor) -> Tensor:
    """(e^a - 1) / a for a = growth + i turn, (B,) complex."""
    a = torch.complex(growth, turn)
    near = a.abs() < _NEAR
    small, large = torch.where(near, a, 0), torch.where(near, 1, a)
    series = torch.ones_like(a)
    for k in range(_TERMS, 1, -1):
        series = 1 + series * small / k
    return torch.where(near, series, (large.exp() - 1) / large)
