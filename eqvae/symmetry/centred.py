"""Similarities that leave the centre where it is: turns, mirrors and scales, no shift.

    g p = e^s R(angle) F^reflection p,      rows [reflection, angle, 0, 0, s], see `motions`

Turns and scales commute: without mirrors this is SO(2) x R+, the translations of a cylinder. It is what acts
on a domain that has a centre of its own, such as log-polar samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import apply, compose, inverse
from eqvae.symmetry.similarities import Similarities


@dataclass(frozen=True)
class CentredSimilarities(Group):
    """The group O(2) x R+ about the centre, or SO(2) x R+.

    Args:
        reflections: whether mirror images belong to it.
        scales: the smallest and the largest scale that `sample` draws, log-uniformly.

    Raises:
        ValueError: if the scales are no two positive numbers with 1 between them.

    Example:
        >>> (
        ...     CentredSimilarities().name,
        ...     CentredSimilarities().exp(torch.tensor([[0.5, 0.1]])).tolist(),
        ... )
        ('O(2) x R+', [[0.0, 0.5, 0.0, 0.0, 0.10000000149011612]])
    """

    reflections: bool = True
    scales: Sequence[float] = (0.6, 1.6)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", self.with_shifts.scales)

    @property
    def with_shifts(self) -> Similarities:
        """The same turns, mirrors and scales, about any point."""
        return Similarities(reflections=self.reflections, scales=self.scales)

    @property
    def name(self) -> str:
        return f"{'O(2)' if self.reflections else 'SO(2)'} x R+"

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        return self.with_shifts.identity(n, dtype=dtype)

    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        return compose(g1, g2)

    def inverse(self, g: Tensor) -> Tensor:
        return inverse(g)

    def exp(self, u: Tensor) -> Tensor:
        """exp(w, s): turning by w and growing by e^s, (B, 2) -> (B, 5)."""
        turn, growth = u[:, :1], u[:, 1:]
        still = torch.zeros_like(turn)
        return self.with_shifts.exp(torch.cat([turn, still, still, growth], dim=1))

    def log(self, g: Tensor) -> Tensor:
        return self.with_shifts.log(g)[:, [0, 3]]

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        return apply(g, points)

    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Turns and mirrors from the Haar measure, scales log-uniform; no shift, whatever is asked."""
        return self.with_shifts.sample(n, generator=generator)

    def grid(self, n: int) -> Tensor:
        return self.with_shifts.grid(n)

    def generators(self) -> Mapping[str, Generator]:
        rotation = self.with_shifts.generators()["rotation"]
        return {
            "rotation": Generator("rotation", (1.0, 0.0), rotation.unit, rotation.period),
            "dilation": Generator("dilation", (0.0, 1.0), "log"),
        }
