"""Atoms as a domain: a signal is where they are, and a motion moves it exactly.

    x : {1 ... N} -> R^3,      (g x)(i) = g x(i),      g in E(3)

On a grid a motion moves what the signal is a function of, here it moves the values; nothing is interpolated.
A batch of structures of one topology is an image (B, 1, N, 3), so that whatever takes images takes it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from eqvae.domains.domain import Domain
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.three.structures.structures import Structures

_PIXELS = 64  # side of `to_pixels`
_BLOB = 1.5  # pixels, the standard deviation of an atom there


@dataclass(frozen=True)
class Points(Domain):
    """N atoms, the same ones in every structure; coordinates are the signal, Angstrom.

    Args:
        num_atoms: N >= 1.
        elements: chemical symbol of each atom; () where not known.

    Raises:
        ValueError: if num_atoms is no whole number from 1, or elements do not name each atom.

    Example:
        >>> atoms, up = Points(3), torch.tensor([[0.0, 1, 0, 0, 0, 0, 0, 2.0]])
        >>> atoms.act(up, torch.zeros(1, 1, 3, 3))[0, 0, 0]
        tensor([0., 0., 2.])
    """

    signals: ClassVar[str] = "structures"

    num_atoms: int
    elements: Sequence[str] = ()

    def __post_init__(self) -> None:
        n = self.num_atoms
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"num_atoms must be a whole number of atoms, >= 1; got {n!r}.")
        object.__setattr__(self, "elements", tuple(self.elements))
        if self.elements and len(self.elements) != n:
            raise ValueError(
                f"elements must name each of the {n} atoms, or none; got {len(self.elements)}."
            )

    @classmethod
    def of(cls, structures: Structures) -> Self:
        """The domain of the conformations of one structure."""
        return cls(structures.num_atoms, structures.elements)

    @property
    def group(self) -> SpaceMotions:
        return SpaceMotions(parity=True)

    @property
    def shape(self) -> tuple[int, int]:
        return (self.num_atoms, 3)

    @property
    def radius(self) -> float:
        """Infinite: no motion takes an atom out of space."""
        return math.inf

    @property
    def band(self) -> float:
        """Infinite: coordinates are known, not sampled."""
        return math.inf

    def size_of(self, shape: Sequence[int]) -> str:
        """How large structures (C, N, 3) are, in a user's words: "24 atoms"."""
        return f"{shape[1]} atoms"

    def act(self, g: Tensor, x: Tensor, interpolation: str = "exact") -> Tensor:
        """Move structures: (g x)(i) = g x(i), one element for each.

        Args:
            g: elements of E(3), (B, 8).
            x: coordinates, (B, C, N, 3), Angstrom.
            interpolation: not used, because nothing is interpolated.

        Raises:
            ValueError: if x is not of these atoms, or g and x differ in length.
        """
        self.check(x)
        if len(g) != len(x):
            raise ValueError(f"g needs one element for each structure; got {len(g)} and {len(x)}.")
        return self.group.act(g.to(x), x.flatten(1, 2)).unflatten(1, tuple(x.shape[1:3]))

    def valid(self, x: Tensor) -> Tensor:
        """The same: coordinates may have any value."""
        return x

    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        """Not there: where the atoms are is the signal.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "Points has no positions of its own: where the atoms are is the signal, (B, 1, N, 3); use that."
        )

    def mask(self, radius: float | None = None) -> Tensor:
        """1 for every coordinate of every atom, (N, 3): none is ever lost.

        Raises:
            ValueError: if `radius` is finite, because no atom has a place of its own.
        """
        if radius is not None and math.isfinite(radius):
            raise ValueError(
                f"radius must be None for atoms, which have no place of their own; got {radius!r}."
            )
        return torch.ones(self.shape)

    def check(self, x: Tensor) -> None:
        """Refuse what is no batch of these atoms.

        Raises:
            ValueError: if x is not (B, C, N, 3).
        """
        if x.dim() != 4 or tuple(x.shape[2:]) != self.shape:
            raise ValueError(
                f"x must be coordinates of {self.num_atoms} atoms, (B, 1, {self.num_atoms}, 3); got "
                f"{tuple(x.shape)}."
            )

    def channels(self, kinds: Sequence[str] | None = None) -> Tensor:
        """Which element each atom is, as channels of a lift, (N, C).

        Args:
            kinds: an element for each channel; None for those there are, by name.

        Raises:
            ValueError: if elements are not known, or `kinds` lacks one.
        """
        if not self.elements:
            raise ValueError(
                "elements are not known to this Points, so there are no channels of elements; say "
                "Points(num_atoms, elements), or give the lift no weights."
            )
        kinds = sorted(set(self.elements)) if kinds is None else list(kinds)
        missing = sorted(set(self.elements) - set(kinds))
        if missing:
            raise ValueError(
                f"kinds must have a channel for each element; got {kinds}, without {missing}."
            )
        return torch.tensor([[float(e == kind) for kind in kinds] for e in self.elements])

    def to_pixels(self, x: Tensor) -> Tensor:
        """Structures seen along z, atoms as blobs, (B, C, 64, 64): to be looked at.

        The frame holds the largest coordinate of the batch; where blobs overlap, they add up to at most 1.
        """
        self.check(x)
        reach = x[..., :2].abs().amax().clamp_min(1e-6) * (1 + 4 / _PIXELS)
        line = torch.linspace(-1, 1, _PIXELS, dtype=x.dtype, device=x.device)
        blob = 2 * _BLOB / _PIXELS

        def along(axis: int, places: Tensor) -> Tensor:
            away = (x[..., axis, None] / reach - places) / blob
            return (-away.square() / 2).exp()

        rows, columns = along(1, -line), along(0, line)
        return 1 - (-torch.einsum("bcnh,bcnw->bchw", rows, columns)).exp()
