"""Domains: where signals live, and how a group moves them.

A signal x : points -> R^C is sampled at the points of a domain; (g x)(p) = x(g^-1 p) is its motion, exact
where g maps the points to themselves and interpolated elsewhere.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from eqvae.symmetry.group import Group


class Domain(ABC):
    """Points in the plane or in space, signals on them, and the action of a group.

    Attributes:
        signals: what they are called where a user reads of them, in the plural.
    """

    signals: ClassVar[str] = "images"

    @property
    @abstractmethod
    def group(self) -> Group:
        """The largest group that acts; its subgroups act likewise."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The last axes of a signal (B, C, *shape)."""

    @abstractmethod
    def act(self, g: Tensor, x: Tensor, interpolation: str = "bicubic") -> Tensor:
        """Move signals: (g x)(p) = x(g^-1 p).

        Args:
            g: elements of the group, (B, E).
            x: signals, (B, C, *shape).
            interpolation: how, where points do not fall on points.

        Returns:
            The moved signals; where they come from outside 0, or the grey of a ground that is known.
        """

    def size_of(self, shape: Sequence[int]) -> str:
        """How large a signal (C, *shape) is, in a user's words: "1 x 28 x 28"."""
        return " x ".join(map(str, shape))

    @property
    def black(self) -> "Domain":
        """The same domain with 0 beyond it, for what is no image: masks, and images less their ground."""
        return self

    @property
    def area(self) -> float:
        """What one sample stands for, pixels^2: sums over samples times it are integrals."""
        return 1.0

    @property
    def radius(self) -> float:
        """Of the disc that every rotation keeps, pixels: where `mask()` is 1."""
        reached = self.points(dtype=torch.float64).norm(dim=-1) * self.mask().double()
        return reached.max().item()

    @property
    def band(self) -> float:
        """The frequency below which the samples hold every signal, radians per pixel."""
        return math.pi

    def from_pixels(self, images: Tensor) -> Tensor:
        """Square images (B, C, H, H) as signals; they are signals already, unless a domain says otherwise."""
        return images

    def to_pixels(self, x: Tensor) -> Tensor:
        """Signals as square images (B, C, H, H) about the same centre, to be looked at."""
        return x

    def valid(self, x: Tensor) -> Tensor:
        """Signals brought into the range that they have, which interpolation leaves: [0, 1] of images."""
        return x.clamp(0, 1)

    @abstractmethod
    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        """Positions of the samples, pixels, (*shape, dim)."""

    @abstractmethod
    def mask(self, radius: float | None = None) -> Tensor:
        """1 at the points within a radius of the centre, 0 elsewhere, (*shape,).

        Args:
            radius: pixels; None for the largest that every rotation keeps.
        """

    def resampling_error(self, g: Tensor, x: Tensor, interpolation: str = "fourier") -> Tensor:
        """Half of what moving there and back does to signals, (B, C, *shape): the floor of any test here."""
        back = self.act(self.group.inverse(g), self.act(g, x, interpolation), interpolation)
        return (back - x) / 2
