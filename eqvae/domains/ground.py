"""The grey beyond images: one number for all channels, or one for each.

Domains that know it move an image less its ground, g x = b + g (x - b): what comes in from outside is b.
"""

import math
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar, Self

from torch import Tensor

from eqvae.domains.domain import Domain


class GroundedDomain(Domain):
    """A domain, a frozen dataclass, with a field `ground`: the grey beyond it, of all channels or of each.

    Attributes:
        called: what a signal is called in messages.
    """

    ground: Sequence[float]
    called: ClassVar[str] = "image"

    @property
    def black(self) -> Self:
        return self.on(())

    def on(self, ground: Sequence[float]) -> Self:
        """The same samples with another ground beyond them."""
        return replace(self, ground=ground)

    def act(self, g: Tensor, x: Tensor, interpolation: str = "bicubic") -> Tensor:
        """Move signals: (g x)(p) = x(g^-1 p), one motion for each; see `moved` for the interpolations.

        Raises:
            ValueError: if `interpolation` is none of those, g and x differ in length, or x is not of this
                domain or has other channels than the ground.
        """
        self.check(x)
        if interpolation not in self.interpolations:
            raise ValueError(
                f"interpolation must be one of {sorted(self.interpolations)}; got {interpolation!r}."
            )
        if len(g) != len(x):
            raise ValueError(
                f"g needs one motion for each {self.called}; got {len(g)} and {len(x)}."
            )
        if any(self.ground):
            ground = ground_like(self.ground, x)
            return self.black.act(g, x - ground, interpolation) + ground
        return self.moved(g, x, interpolation)

    @property
    @abstractmethod
    def interpolations(self) -> Collection[str]:
        """Names of the ways to interpolate."""

    @abstractmethod
    def check(self, x: Tensor) -> None:
        """Refuse signals that are not of this domain.

        Raises:
            ValueError: if so.
        """

    @abstractmethod
    def moved(self, g: Tensor, x: Tensor, interpolation: str) -> Tensor:
        """`act` on black, for signals and motions that have been checked."""


def checked_ground(ground: Sequence[float]) -> tuple[float, ...]:
    """The grey values as numbers.

    Raises:
        ValueError: if one is not finite.
    """
    grey = tuple(map(float, ground))
    if not all(map(math.isfinite, grey)):
        raise ValueError(
            f"ground must be finite grey values, one for all channels or for each; got {grey}."
        )
    return grey


def ground_like(ground: Sequence[float], x: Tensor) -> Tensor:
    """The grey to subtract from images (B, C, H, W): (C, 1, 1), or (1, 1, 1).

    Raises:
        ValueError: if there are other channels than grey values.
    """
    if len(ground) not in (0, 1, x.shape[1]):
        raise ValueError(
            f"ground must be one number, or one for each of {x.shape[1]} channels; got "
            f"{list(ground)}. Use .black for what is no image."
        )
    return x.new_tensor(ground or (0.0,)).view(-1, 1, 1)
