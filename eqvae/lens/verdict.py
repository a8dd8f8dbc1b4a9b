"""What the numbers of an identification say: whether there is any linear action, and why there is no name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.lens.carried import Carried
from eqvae.lens.outputs import Moments, allowance
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION

Parts = Sequence[tuple[str, slice]]
_OVERFIT = 2  # how many times the tolerance a defect may be on data that were not fitted
_ALIGNED = (
    0.1  # how far from 0 and 1 an entry of a projector may be for a column to belong to one irrep
)


@dataclass(frozen=True)
class Found:
    """What was found among the outputs, before it is judged.

    Attributes:
        name: the text of what they carry, if it holds.
        carried: the irreps.
        rank: number of directions that the outputs span.
        rows: number of data that were fitted.
        tolerance: largest relative defect.
        blocks: relative defect of each irrep on other data.
        floors: what noise gives of it.
        basis: outputs to coordinates, (u, D).
        offset: what is added to coordinates, (u,).
        parts: rows of the basis of each irrep.
        shifts: root mean square of the shifts, pixels.
    """

    name: str
    carried: Carried
    rank: int
    rows: int
    tolerance: float
    blocks: Mapping[str, float]
    floors: Mapping[str, float]
    basis: Tensor
    offset: Tensor
    parts: Parts
    shifts: float


@dataclass(frozen=True)
class LinearChecks:
    """The best maps w' = M(g) w + m(g).

    Attributes:
        defect: root mean square of what they leave on other data, relative to the outputs' spread.
        floor: what noise alone leaves.
        homomorphism: root mean square entry of M(g) M(h) - M(g h), over that of M(g h).
        characters: traces of M(g), (M,).
    """

    defect: float
    floor: float
    homomorphism: float
    characters: np.ndarray


def linear_checks(
    moments: Moments, still: Tensor, after: Tensor, used: int, pairs: Tensor
) -> LinearChecks:
    """The best linear maps, from moments of the data that were fitted.

    Args:
        moments: of all elements: the first `used` to be judged, then the products of `pairs`.
        still: w of other data, (N, r).
        after: w' of other data, (M, N, r).
        used: number of elements to be judged.
        pairs: numbers of g and of h, (2, P).
    """
    maps = moments.maps()
    linear, shift = maps[:, :, :-1], maps[:, :, -1]
    should = still @ linear[:used].mT + shift[:used, None]
    error = (after[:used] - should).square().sum(2).mean()
    noise = (
        torch.trace(moments.noise)
        + torch.einsum(
            "kij,jl,kil->k", linear[:used], moments.noise[:-1, :-1], linear[:used]
        ).mean()
    )
    a, b = pairs
    products, whole = linear[a] @ linear[b], linear[used:]
    rank = still.shape[1]
    return LinearChecks(
        (error / rank).sqrt().item(),
        (noise / rank).sqrt().item(),
        ((products - whole).norm() / whole.norm()).item(),
        torch.einsum("kii->k", linear[:used]).numpy(),
    )


def why_none(found: Found, linear: LinearChecks) -> tuple[str, float]:
    """Why the outputs carry no representation, "" if they do, and the defect that shows it."""
    rank, dim, limit = found.rank, found.carried.dim, found.tolerance
    if dim < rank:
        fitted = 1 + (rank + 1) / found.rows  # noise is fitted too
        rest = _beyond(linear.defect, fitted * linear.floor, found.rows)
        directions = f"{rank - dim} of {rank} directions of the outputs"
        if rest > limit:
            return f"{directions} move by no linear map", linear.defect
        return (
            f"{directions} move linearly, but as no irrep that was tried: their frequency is higher, or the "
            f"action is not unitary",
            found.carried.runner_up[1],
        )
    if dim > rank:
        return (
            f"{dim} functionals of {rank} directions move as irreps, so the elements tried are too "
            f"close together to tell them apart",
            linear.defect,
        )
    corrected = {n: _beyond(found.blocks[n], found.floors[n], found.rows) for n in found.blocks}
    worst = max(corrected, key=corrected.get)
    if corrected[worst] > _OVERFIT * limit:
        return f"the outputs move as {found.name} on fitted data, but not on others", found.blocks[
            worst
        ]
    sizes = {
        n: found.offset[c].square().mean().sqrt().item() / (found.shifts if n == POSITION else 1)
        for n, c in found.parts
    }
    off = max(sizes, key=sizes.get)
    if sizes[off] > limit + allowance(found.floors[off], found.rows):
        return f"the outputs move as {found.name} only after a constant is taken off {off}", sizes[
            off
        ]
    return "", 0.0


def _beyond(defect: float, floor: float, rows: int) -> float:
    """What is left of a defect when noise and its sampling error are taken off."""
    return max(defect**2 - floor**2 - allowance(floor**2, rows), 0.0) ** 0.5


def alternatives_of(group: Group, found: Carried, shift: float) -> dict[str, tuple[str, ...]]:
    """By irrep what can't be told from it."""
    others = {c.irrep.name: c.irrep.aliases for c in found.copies if c.irrep.aliases}
    moves = any(name.startswith("shift") for name in group.generators())
    for vector in {"1", "1o"} & set(found.counts):
        if not shift and moves:
            others[vector] = (*others.get(vector, ()), f"{POSITION} (no shifts were tried)")
    return others


def columns_of(found: Found) -> dict[str, tuple[int, ...]]:
    """By irrep the columns of the outputs that hold it, where its projector is one on single columns."""
    if not len(found.basis) or len(found.basis) != found.rank:
        return {}
    back, columns = torch.linalg.pinv(found.basis), {}
    for name, rows in found.parts:
        projector = back[..., rows] @ found.basis[rows]
        ones = projector.diagonal() > 0.5
        ideal = torch.diag(ones.to(projector))
        if bool(((projector - ideal).abs() <= _ALIGNED).all()):
            columns[name] = tuple(ones.nonzero().flatten().tolist())
    return columns
