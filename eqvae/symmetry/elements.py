"""Which elements of a group stand for all of it: generators, and averages over its conjugacy classes."""

import math

import torch
from torch import Tensor

from eqvae.symmetry.group import Group
from eqvae.symmetry.motions import motion
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.space import SpaceRotations, inversion
from eqvae.symmetry.space_motions import SpaceMotions, space_motion


def generating_elements(group: Group) -> Tensor:
    """Few elements whose products are the whole compact part, or lie dense in it, (M, E) in float64.

    A turn by 1 radian never comes back, so its powers are dense in a circle. A group of the identity alone
    has none.
    """
    if isinstance(group, PlaneMotions):
        step = 1.0 if group.rotations is None else 2 * math.pi / group.rotations
        turns = [] if group.rotations == 1 else [motion(step, dtype=torch.float64)]
        mirrors = [motion(reflection=1.0, dtype=torch.float64)] if group.reflections else []
        return torch.cat([motion(dtype=torch.float64)[:0], *turns, *mirrors])
    directions = [x.direction for x in group.generators().values() if x.period is not None]
    found = group.exp(torch.tensor(directions, dtype=torch.float64))
    if isinstance(group, SpaceRotations | SpaceMotions) and group.parity:
        inverted = inversion(dtype=torch.float64)
        moves = isinstance(group, SpaceMotions)
        found = torch.cat([found, space_motion(inverted) if moves else inverted])
    return found


def class_average(group: Group, degree: int) -> tuple[Tensor, Tensor]:
    """Elements (M, E) and weights (M,): the sum of w chi(g) is the average of a character over the group.

    Exact for characters of frequencies up to `degree`. Rotations of space by one angle w belong to one
    class, and have the density (1 - cos w) / 2 pi (Weyl).

    Raises:
        ValueError: if the group is neither one of the plane nor one of space.
    """
    if isinstance(group, PlaneMotions):
        elements = group.grid(degree + 1)
        return elements, torch.full((len(elements),), 1 / len(elements), dtype=torch.float64)
    if isinstance(group, SpaceMotions):
        elements, weights = class_average(group.linear, degree)
        return space_motion(elements), weights
    if not isinstance(group, SpaceRotations):
        raise ValueError(
            f"group must be one of the plane or of space, PlaneMotions, SpaceRotations or SpaceMotions; got "
            f"{group!r}."
        )
    n = degree + 2
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    turns = group.exp(angle[:, None] * torch.tensor([[0.0, 0.0, 1.0]]).double())
    weights = (1 - angle.cos()) / n
    if not group.parity:
        return turns, weights
    inverted = group.compose(inversion(dtype=torch.float64).expand(n, -1), turns)
    return torch.cat([turns, inverted]), torch.cat([weights, weights]) / 2
