"""How inputs and outputs move: a representation, its text, a domain or a function; and by which elements."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.domains import Domain
from eqvae.metrics.equivariance.errors import Action, keep
from eqvae.symmetry.affine import AffineRepresentation
from eqvae.symmetry.elements import generating_elements
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import representation_of
from eqvae.symmetry.plane import PlaneMotions

Moves = str | AffineRepresentation | Domain | Action
_ALL = 64  # elements of a finite group that are all taken


@dataclass(frozen=True)
class Movement:
    """One way to move rows.

    Attributes:
        act: (g (B, E), rows (B, ...)) -> moved rows.
        representation: whose action it is, or None.
        domain: whose action it is, or None.
    """

    act: Action
    representation: AffineRepresentation | None = None
    domain: Domain | None = None

    def check(self, rows: Tensor, argument: str, whose: str) -> None:
        """Refuse rows of another size than the representation's.

        Raises:
            ValueError: with both sizes.
        """
        known = self.representation
        if known is not None and tuple(rows.shape[1:]) != (known.dim,):
            raise ValueError(
                f"{whose} must be rows of {argument}'s dimension, (N, {known.dim}) for {known}; got shape "
                f"{tuple(rows.shape)}."
            )
        if self.domain is not None and tuple(rows.shape[2:]) != tuple(self.domain.shape):
            raise ValueError(
                f"{whose} must be of {argument}'s domain, (N, C, *{tuple(self.domain.shape)}); got shape "
                f"{tuple(rows.shape)}."
            )


def movement(group: Group, given: Moves, argument: str) -> Movement:
    """How something moves.

    Args:
        group: that acts.
        given: a representation or its text, such as "2x1o" or "position + 4x0"; "trivial" for anything that
            stays as it is; "points" for points (N, P, dim); a `Domain` for signals (N, C, *shape); or a
            function (g, rows) -> moved rows.
        argument: its name, for errors.

    Raises:
        ValueError: if it is something else.
    """
    if isinstance(given, Domain):
        return Movement(lambda g, x: given.act(g, x, "fourier"), domain=given)
    if given == "trivial":
        return Movement(keep)
    if given == "points":
        return Movement(group.act)
    if isinstance(given, str | AffineRepresentation):
        known = representation_of(group, given)
        return Movement(known.act, representation=known)
    if not callable(given):
        raise ValueError(
            f"{argument} must be a representation, its text, 'trivial', 'points', a Domain or a function "
            f"(g, x) -> g x; got {given!r}."
        )
    return Movement(given)


def elements_of(group: Group, n: int, shift: float, seed: int) -> Tensor:
    """Elements to measure with, (M, E) in float64: generators and draws, or all of a small finite group.

    Args:
        group: that acts.
        n: number of draws.
        shift: radius of the disc, or ball, of shifts, the unit of the points; 0 for none.
        seed: of the draws.

    Raises:
        ValueError: if the group holds nothing but the identity, or has no shifts where some are asked for.
    """
    generator = torch.Generator().manual_seed(seed)
    few = generating_elements(group)
    if not len(few) and not shift:
        raise ValueError(
            f"group must hold more than the identity; got {group.name}, under which every function is "
            f"equivariant. Take a larger one, or shift > 0."
        )
    if isinstance(group, PlaneMotions) and group.is_finite and group.order <= _ALL:
        turns = group.grid(1).double()
        turns = turns.repeat(-(-n // len(turns)), 1) if shift else turns[1:]
    else:
        turns = torch.cat([few, group.sample(n, generator=generator).double()])
    return group.compose(_shifts(group, len(turns), shift, generator), turns) if shift else turns


def _shifts(group: Group, n: int, radius: float, generator: torch.Generator) -> Tensor:
    """Translations alone, uniform in a disc, or in space in a ball."""
    directions = [x.direction for name, x in group.generators().items() if name.startswith("shift")]
    if not directions:
        raise ValueError(f"shift must be 0: {group.name} has no translations; got {radius:g}.")
    size, phase = torch.rand(2, n, generator=generator, dtype=torch.float64)
    phase = 2 * torch.pi * phase
    around = torch.stack([phase.cos(), phase.sin()], dim=1)
    if len(directions) == 3:
        height = 2 * torch.rand(n, 1, generator=generator, dtype=torch.float64) - 1
        around = torch.cat([(1 - height.square()).sqrt() * around, height], dim=1)
    place = radius * size.pow(1 / len(directions))[:, None] * around
    return group.exp(place @ torch.tensor(directions, dtype=torch.float64))
