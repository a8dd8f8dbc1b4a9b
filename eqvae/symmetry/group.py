"""Groups: what every part of eqvae may ask of one, whatever its elements are.

A group G acts on the points p of a domain, (g1 g2) p = g1 (g2 p). Its elements are the rows of one tensor
(B, E), in coordinates that only the group's own file knows. A Lie group has an algebra with a basis X_1 ..
X_d; exp(u) is the element that u_1 X_1 + ... + u_d X_d leads to.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Generator:
    """One basis element X of a Lie algebra.

    Attributes:
        name: such as "rotation".
        direction: coordinates of X, those of `Group.exp`, (d,).
        unit: of t in exp(t X), such as "rad" or "px".
        period: smallest t > 0 with exp(t X) = identity; None where the motion never comes back.
    """

    name: str
    direction: tuple[float, ...]
    unit: str
    period: float | None = None


class Group(ABC):
    """A group with an action on points."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in texts: "SO(2)"."""

    @abstractmethod
    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        """The element that moves nothing, n times, (n, E)."""

    @abstractmethod
    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        """The product g1 g2: first g2, then g1, (B, E)."""

    @abstractmethod
    def inverse(self, g: Tensor) -> Tensor:
        """g^-1, (B, E)."""

    @abstractmethod
    def exp(self, u: Tensor) -> Tensor:
        """The elements exp(u) of algebra elements u (B, d), (B, E)."""

    @abstractmethod
    def log(self, g: Tensor) -> Tensor:
        """The shortest u with exp(u) = g, (B, d).

        Raises:
            ValueError: for an element that exp does not reach, such as a mirror.
        """

    @abstractmethod
    def act(self, g: Tensor, points: Tensor) -> Tensor:
        """g p for points (B, dim) or (B, N, dim)."""

    @abstractmethod
    def sample(
        self, n: int, *, shift: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws from the Haar measure of the compact part, with shifts uniform in a ball, (n, E).

        Args:
            n: number of draws.
            shift: radius of the ball of shifts, pixels.
            generator: source of randomness.
        """

    @abstractmethod
    def grid(self, n: int) -> Tensor:
        """About n elements spread evenly over the compact part, the identity first; all of a finite one."""

    @abstractmethod
    def generators(self) -> Mapping[str, Generator]:
        """A basis of the Lie algebra by name; empty for a finite group."""

    @property
    def ambient(self) -> "Group":
        """The group that a part is measured against: of a finite one the continuous one around it."""
        return self
