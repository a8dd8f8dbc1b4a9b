"""What the numbers of an identification say: whether there is any linear action, and why there is no name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eqvae.lens.outputs import Moments, Whitening, allowance
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION

if TYPE_CHECKING:
    from eqvae.lens.identify import Carried, _Run

Parts = Sequence[tuple[str, slice]]
_OVERFIT = 2  # how many times the tolerance a defect may be on data that were not fitted
_ALIGNED = 0.1  # how far from 0 and 1 an entry of a projector may be for a column to belong to one irrep


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
    moments: Moments, still: Tensor, moved: Tensor, used: int, pairs: tuple[Tensor, Tensor]
) -> LinearChecks:
    """The best linear maps, from moments of the data that were fitted.

    Args:
        moments: of all elements: the first `used` to be judged, then the products of `pairs`.
        still: w of other data, (N, r).
        moved: w' of other data, (M, N, r).
        used: number of elements to be judged.
        pairs: numbers of g and of h.
    """
    maps = moments.maps()
    linear, shift = maps[:, :, :-1], maps[:, :, -1]
    expected = still @ linear[:used].mT + shift[:used, None]
    error = (moved[:used] - expected).square().sum(2).mean()
    noise = torch.trace(moments.noise) + torch.einsum(
        "kij,jl,kil->k", linear[:used], moments.noise[:-1, :-1], linear[:used]
    ).mean()
    a, b = pairs
    products, whole = linear[a] @ linear[b], linear[used:]
    rank = still.shape[1]
    return LinearChecks(
        (error / rank).sqrt().item(),
        (noise / rank).sqrt().item(),
        ((products - whole).norm() / whole.norm()).item(),
        torch.einsum("kii->k", linear[:used]).numpy(),
    )


def why_none(
    run: "_Run",
    found: "Carried",
    name: str,
    blocks: Mapping[str, float],
    floors: Mapping[str, float],
    away: Tensor,
    parts: Parts,
    linear: LinearChecks,
) -> tuple[str, float]:
    """Why the outputs carry no representation, "" if they do, and the defect that shows it."""
    rank, limit = run.view.rank, run.tolerance
    if found.dim < rank:
        fitted = 1 + (rank + 1) / run.half  # noise is fitted too
        rest = _beyond(linear.defect, fitted * linear.floor, run.half)
        directions = f"{rank - found.dim} of {rank} directions of the outputs"
        if rest > limit:
            return f"{directions} move by no linear map", linear.defect
        return (
            f"{directions} move linearly, but as no irrep that was tried: their frequency is higher, or the "
            f"action is not unitary",
            found.runner_up[1],
        )
    if found.dim > rank:
        return (
            f"{found.dim} functionals of {rank} directions move as irreps, so the elements tried are too "
            f"close together to tell them apart",
            linear.defect,
        )
    corrected = {n: _beyond(blocks[n], floors[n], run.half) for n in blocks}
    worst = max(corrected, key=corrected.get)
    if corrected[worst] > _OVERFIT * limit:
        return f"the outputs move as {name} on fitted data, but not on others", blocks[worst]
    shifts = run.places[1].square().mean().sqrt().item()
    sizes = {
        n: away[c].square().mean().sqrt().item() / (shifts if n == POSITION else 1)
        for n, c in parts
    }
    off = max(sizes, key=sizes.get)
    if sizes[off] > limit + allowance(floors[off], run.half):
        return f"the outputs move as {name} only after a constant is taken off {off}", sizes[off]
    return "", 0.0


def _beyond(defect: float, floor: float, rows: int) -> float:
    """What is left of a defect when noise and its sampling error are taken off."""
    return max(defect**2 - floor**2 - allowance(floor**2, rows), 0.0) ** 0.5


def alternatives_of(group: Group, found: "Carried", shift: float) -> dict[str, tuple[str, ...]]:
    """By irrep what can't be told from it."""
    others = {c.irrep.name: c.irrep.aliases for c in found.copies if c.irrep.aliases}
    moves = any(name.startswith("shift") for name in group.generators())
    if not shift and moves and "1" in found.counts:
        others["1"] = (*others.get("1", ()), f"{POSITION} (no shifts were tried)")
    return others


def columns_of(basis: Tensor, parts: Parts, view: Whitening) -> dict[str, tuple[int, ...]]:
    """By irrep the columns of the outputs that hold it, where its projector is one on single columns.

    Args:
        basis: outputs to coordinates, (u, D).
        parts: rows of each irrep.
        view: of the outputs.
    """
    if not len(basis) or len(basis) != view.rank:
        return {}
    back = torch.linalg.pinv(basis)
    found = {}
    for name, rows in parts:
        projector = back[:, rows] @ basis[rows]
        ones = projector.diagonal() > 0.5
        ideal = torch.diag(ones.to(projector))
        if bool(((projector - ideal).abs() <= _ALIGNED).all()):
            found[name] = tuple(ones.nonzero()[:, 0].tolist())
    return found
