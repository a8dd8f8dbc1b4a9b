"""Motions to test with, read off a group.

    a family      generators of one name up to an underscore: rotation, or shift_x and shift_y
    with period   exp(k T / n X), k = 1 ... n - 1, of every generator X with period T; and quarters of T
    without       exp(sum_i t_i X_i), t_i uniform in [-1/2, 1/2], over the family
    reflection    the elements that exp does not reach, of an even grid
    element       all others of a finite group

The identity is no test and is left out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import motion


@dataclass(frozen=True)
class MotionSweep:
    """Motions of one kind.

    Attributes:
        name: a family, "quarter_turn", "reflection" or "element".
        motions: elements of the group, (M, E).
        degrees: where a motion stands in its period, of 360, (M,); None where there is no one way around.
    """

    name: str
    motions: Tensor
    degrees: Tensor | None = None


def families(group: Group) -> dict[str, list[Generator]]:
    """The generators of a group by family."""
    found: dict[str, list[Generator]] = {}
    for name, generator in group.generators().items():
        found.setdefault(name.partition("_")[0], []).append(generator)
    return found


def flow(group: Group, generator: Generator, t: Tensor) -> Tensor:
    """exp(t X) for times (n,), (n, E)."""
    direction = torch.tensor(generator.direction, dtype=t.dtype, device=t.device)
    return group.exp(t[:, None] * direction)


def motion_sweeps(
    group: Group, *, turns: int, mirrors: int, draws: int, seed: int = 0
) -> list[MotionSweep]:
    """Every kind of motion that a group has.

    Args:
        group: of a finite one the sweeps are those of the continuous group around it, `group.ambient`.
        turns: n, steps of a period.
        mirrors: of the even grid that reflections are taken from.
        draws: number of random motions of a family without period.
        seed: of these.
    """
    whole, found, quarters = group.ambient, [], []
    for name, family in families(whole).items():
        around = [generator for generator in family if generator.period is not None]
        if around:
            t = torch.arange(1, turns) / turns
            motions = torch.cat([flow(whole, x, x.period * t) for x in around])
            degrees = 360 * t if len(around) == 1 else None
            found.append(MotionSweep(name, motions, degrees))
            quarters += [flow(whole, x, x.period * torch.arange(1, 4) / 4) for x in around]
        else:
            found.append(MotionSweep(name, _draws(whole, family, draws, seed)))
    if quarters:
        found.append(MotionSweep("quarter_turn", torch.cat(quarters)))
    mirrored = _beyond_exp(whole, mirrors)
    if len(mirrored):
        degrees = 360 * torch.arange(len(mirrored)) / len(mirrored)
        found.append(MotionSweep("reflection", mirrored, degrees))
    others = group.grid(1)[1:] if group != whole else mirrored[:0]
    if len(others):
        found.append(MotionSweep("element", others.to(torch.get_default_dtype())))
    return found


def _draws(group: Group, family: list[Generator], n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(n, len(family), generator=generator) - 0.5
    return group.exp(t @ torch.tensor([x.direction for x in family], dtype=t.dtype))


def _beyond_exp(group: Group, n: int) -> Tensor:
    """Elements of an even grid that no one-parameter subgroup holds, such as mirrors, (M, E)."""

    def reached(g: Tensor) -> bool:
        try:
            group.log(g)
        except ValueError:
            return False
        return True

    grid = group.grid(n).to(torch.get_default_dtype())
    return grid[torch.tensor([not reached(g) for g in grid[:, None]], dtype=torch.bool)]


def angle_sweep(step: float = 5.0, reflection: bool = False) -> Tensor:
    """Rotations of the plane by step, 2 step, ... below 360 degrees, (n, 4).

    With `reflection` each follows a mirror, and 0 degrees, the mirror alone, is among them.
    """
    angle = torch.arange(0.0 if reflection else step, 360, step) * (math.pi / 180)
    return motion(angle=angle, reflection=float(reflection))


def subpixel_shifts(n: int = 16, seed: int = 0) -> Tensor:
    """Shifts of the plane uniform in [-1/2, 1/2]^2 pixels, (n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return motion(shift=torch.rand(n, 2, generator=generator) - 0.5)
