"""Every translation on a grid: where points may come to lie, and coefficients about each of these places."""

import math

import torch
from torch import Tensor

from eqvae.three.lift import Lift
from eqvae.three.search.room import check_search

_OF_PLACE = 8 * (6 + 1)  # bytes, of a point of the grid while it is made
_ROOM = 1 << 14  # points whose harmonics are taken at once


def places(points: Tensor, *, step: float, within: float, least: int) -> Tensor:
    """Points of a cubic grid over the box of `points`, which have at least some of them around, (T, 3).

    Args:
        points: (N, 3), Angstrom.
        step: of the grid, Angstrom.
        within: how near a point counts, Angstrom.
        least: how many must be as near as that.

    Raises:
        ValueError: if the grid has more points than memory.
    """
    low, high = points.amin(0), points.amax(0)
    counts = ((high - low) / step).ceil().long() + 1
    size = math.prod(float(count) for count in counts)
    check_search(
        size * _OF_PLACE,
        f"translations in steps of {step:g} Angstrom",
        "Raise step, or leave far atoms out.",
    )
    starts = (low + high - (counts - 1) * step) / 2
    axes = [
        start + step * torch.arange(count).to(points)
        for start, count in zip(starts, counts.tolist(), strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    near = torch.cat([(torch.cdist(g, points) < within).sum(1) for g in grid.split(4096)])
    return grid[near >= least]


def coefficients_about(lift: Lift, points: Tensor, centres: Tensor) -> Tensor:
    """The lift of points (N, 3) about each of the centres (T, 3), in float32, (T, n, (lmax + 1)^2).

    Points beyond the shells are left out.

    Raises:
        ValueError: if they are more than memory holds.
    """
    size = 4 * len(centres) * len(lift.shells) * lift.num_coefficients
    check_search(
        2 * size,
        f"coefficients to degree {lift.lmax} about {len(centres):,} places",
        "Lower lmax or raise step.",
    )
    edge = lift.shells[-1] + 3 * lift.width
    points, centres = points.float(), centres.float()
    found, at = [], 0
    near = torch.cdist(centres, points) < edge
    counts = near.sum(1).clamp_min(1)
    order = counts.argsort()
    while at < len(centres):
        widest = int(counts[order[min(len(order) - 1, at + 64)]])
        rows = order[at : at + max(1, _ROOM // widest)]
        at += len(rows)
        widest = int(counts[rows].max())
        mask, which = near[rows].to(torch.int8).topk(widest, dim=1)
        mask = torch.where(counts[rows][:, None] > 0, mask, 0)
        mask[:, 0] = 1  # a place with none around keeps one, far away
        found.append(lift(points[which] - centres[rows, None], mask=mask)[:, 0])
    return torch.cat(found)[order.argsort()]
