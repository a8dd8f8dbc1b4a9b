"""The symmetry that a template shows, made exact before poses are compared.

A network never draws a disc or a triangle to the last digit, and with a thousand pixels of evidence the
last digit is enough to prefer one of equal angles. So a template that agrees with itself after a turn by
2 pi / k, moved by the u that fits best,

    min_u |d - R(2 pi / k) exp(u) d|^2 <= tolerance 2 |d_turning|^2,

d_turning its part of frequency l >= 1, is replaced by its mean over C_k about the centre of that symmetry:
only the frequencies l = 0, k, 2k, ... stay. If nearly all of it is at l = 0 once it is centred, so does
nothing else.

Reference: the self-rotation function of Rossmann, Blow (1962) asks the same of crystals.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.pose.likelihood import tangents
from eqvae.pose.space import TemplateSpace
from eqvae.symmetry.motions import cos_sin


@dataclass(frozen=True)
class SymmetricTemplate:
    """Templates of exact symmetry.

    Attributes:
        coordinates: about the centre of the symmetry, (B, dim).
        centre: where that lies from the template's origin, pixels, (B, 2); 0 without symmetry.
        order: k of C_k, 0 for any angle, 1 for none, (B,).
    """

    coordinates: Tensor
    centre: Tensor
    order: Tensor


_SHIFTS = ("shift_x", "shift_y")
_ROUND = 0.05  # of the tolerance: how much of an object that is alike at every angle may turn


def symmetrised(
    space: TemplateSpace, d: Tensor, tolerance: float = 0.04, max_order: int = 8
) -> SymmetricTemplate:
    """Templates with their symmetry made exact, and its order.

    Args:
        space: where the templates live.
        d: templates, (B, dim).
        tolerance: share of the turning energy that may disagree; 0 leaves templates as they are.
        max_order: largest k tried.

    Returns:
        The templates about the centres of their symmetries.
    """
    order = torch.ones_like(d[:, 0], dtype=torch.long)
    offset = torch.zeros_like(d[:, :2])
    if tolerance <= 0:
        return SymmetricTemplate(d, offset, order)
    out = d
    frequency = space.layout(d).frequency
    turning = frequency > 0
    energy = (d * turning).square().sum(dim=1)
    orders = range(2, max_order + 1)
    many = d.repeat_interleave(len(orders), dim=0)  # (B K, dim)
    angles = torch.tensor([2 * math.pi / k for k in orders]).to(d)
    angle = (torch.zeros_like(d[:, :1]) + angles).flatten()
    centres, left = _turned(space, many, angle)
    # from closer by, the centre is better told
    again, left_again = _turned(space, _shifted(space, many, -centres), angle)
    closer = left_again < left
    centres = centres + again * closer[:, None]
    left = torch.where(closer, left_again, left)
    shifted = _shifted(space, many, -centres)
    parts = (p.unflatten(0, (-1, len(orders))).unbind(1) for p in (shifted, centres, left))
    for k, exact, centre, rest in zip(orders, *parts, strict=True):
        holds = rest <= tolerance * 2 * energy
        out = torch.where(holds[:, None], exact * (frequency % k == 0), out)
        offset = torch.where(holds[:, None], centre, offset)
        order = torch.where(holds, k, order)
    # a round object off the origin turns too: by the tangents of its round part, so much is its centre
    round_part = out * ~turning
    moves = tangents(space, round_part, _SHIFTS)
    u = torch.linalg.solve(_regular(moves @ moves.mT), moves @ (out * turning)[:, :, None])
    left = (out * turning - (u.mT @ moves)[:, 0]).square().sum(dim=1)
    alike = left <= _ROUND * tolerance * d.square().sum(dim=1)
    centre = u[:, :, 0]
    out = torch.where(alike[:, None], _shifted(space, out, -centre) * ~turning, out)
    offset = torch.where(alike[:, None], offset + centre, offset)
    return SymmetricTemplate(out, offset, torch.where(alike, 0, order))


def _turned(space: TemplateSpace, d: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """The centre about which d agrees best with itself after a turn, (B, 2), and |what is left|^2, (B,)."""
    moves = tangents(space, d, _SHIFTS)
    # d seen after a turn back: what is left is explained by a shift u of d itself
    difference = space.turn(d, -angle) - d
    u = torch.linalg.solve(_regular(moves @ moves.mT), moves @ difference[:, :, None])
    left = (difference - (u.mT @ moves)[:, 0]).square().sum(dim=1)
    # turning about c instead of the origin by -a shifts d by (1 - R(-a)) c
    cos, sin = cos_sin(angle)
    matrix = torch.stack([1 - cos, -sin, sin, 1 - cos], dim=1).unflatten(1, (2, 2))
    return -torch.linalg.solve(matrix, u)[:, :, 0], left


def _regular(gram: Tensor) -> Tensor:
    """Gram matrices (B, 2, 2) that can be inverted even where nothing is seen."""
    size = 1 + gram.diagonal(dim1=1, dim2=2).mean(dim=1)
    return gram + 1e-6 * size[:, None, None] * torch.eye(2).to(gram)


def _shifted(space: TemplateSpace, d: Tensor, u: Tensor) -> Tensor:
    """exp(u . G) d to second order, for shifts u (B, 2) well below a pixel."""

    def step(e: Tensor) -> Tensor:
        return u[:, :1] * space.derivative(e, "shift_x") + u[:, 1:] * space.derivative(e, "shift_y")

    first = step(d)
    return d + first + 0.5 * step(first)
