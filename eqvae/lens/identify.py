"""Which representation does a function's output carry?  f(g x) = rho(g) f(x), rho unknown.

    1  f at the data and at moved data; noise by calling it twice            `function`, `actions`
    2  coordinates in which the outputs' spread is 1 in every direction       `outputs`
    3  for every irrep of the group the functionals that move as it does      `intertwiners`
    4  if they make up all directions, that is rho, up to a change of basis; if not, none

and beside it, without any list of irreps, the best linear maps M(g) on data that were not fitted, whether
M(g) M(h) = M(g h), and their traces, which are rho's character.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.lens.actions import Movement, Moves, elements_of, movement
from eqvae.lens.carried import Carried, Run
from eqvae.lens.function import BlackBox, Function
from eqvae.lens.identified import NONE, Identified
from eqvae.lens.outputs import Whitening, whitening
from eqvae.lens.verdict import Found, alternatives_of, columns_of, linear_checks, why_none
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import irreps_of, text_of

_HELD_OUT = 4  # draws of a group that are not fitted
_PRODUCTS = 4  # of elements, for M(g) M(h) = M(g h)
_MOST_OUTPUTS = 128


def identify(
    f: Function,
    group: Group,
    rho_in: Moves,
    data: Any,
    *,
    shift: float = 0.0,
    noise: float | None = None,
    tolerance: float = 0.05,
    max_frequency: int = 6,
    draws: int = 24,
    refits: int = 20,
    seed: int = 0,
) -> Identified:
    """The representation that the outputs of a function carry under a group, up to a change of basis.

    Args:
        f: a torch module, or a function of tensors or NumPy arrays, see `eqvae.lens.function`.
        group: `PlaneMotions`, `SpaceRotations` or `SpaceMotions`.
        rho_in: how inputs move: a representation, its text ("2x1o"), "points" for (N, P, dim), a `Domain` or
            a function (g, x) -> g x; see `eqvae.lens.actions`.
        data: inputs, (N, ...), at least 2 (D + 1) of them for D outputs: half are fitted, half tested.
        shift: radius of random shifts, in the unit of the points, such as pixels; needed to see positions.
        noise: standard deviation of the outputs' noise relative to each output's root mean square; None
            finds it by calling f again.
        tolerance: largest relative defect, noise taken off, of what carries a representation.
        max_frequency: highest frequency, or degree, tried where a group has no highest.
        draws: number of random elements.
        refits: number of bootstrap refits behind the certainty.
        seed: of draws, split and refits.

    Raises:
        ValueError: for data or functions that answer nothing, see `eqvae.lens.function`; too few data; too
            many outputs; a group of the identity alone.

    Example:
        >>> import numpy as np
        >>> from eqvae.symmetry import SpaceRotations
        >>> q, p = np.random.default_rng(0).normal(size=(2, 60, 3))
        >>> momentum = lambda x: np.cross(x[:, :3], x[:, 3:])
        >>> found = identify(momentum, SpaceRotations(parity=True), "2x1o", np.hstack([q, p]))
        >>> found.name, found.defect < 1e-12
        ('1e', True)
    """
    box, moves = BlackBox(f, data), movement(group, rho_in, "rho_in")
    moves.check(box.x, "rho_in", "data")
    fitted = elements_of(group, draws, shift, seed)
    new = elements_of(group, _HELD_OUT, shift, seed + 1)[-_HELD_OUT:]
    pick = torch.Generator().manual_seed(seed)
    pairs = torch.randint(len(fitted), (2, _PRODUCTS), generator=pick)
    elements = torch.cat([fitted, new, group.compose(*fitted[pairs])])
    view, still, after = _seen(box, moves, elements, noise)
    irreps = tuple(i for i in irreps_of(group, max_frequency) if i.dim <= view.rank)
    order = torch.randperm(len(still), generator=pick)
    still, after = still[order], after[:, order]
    run = Run(group, irreps, elements, view, still, after, tolerance, shift, len(fitted))
    return _result(run, pairs, refits, seed, box.is_batched)


def _seen(
    box: BlackBox, moves: Movement, elements: Tensor, noise: float | None
) -> tuple[Whitening, Tensor, Tensor]:
    """How outputs are seen, and whitened outputs at the data and at moved data, (N, r) and (M, N, r)."""
    still, own = (y.flatten(1) for y in box.repeated())
    _check_sizes(still)
    batches = (moves.act(g.expand(len(box.x), -1), box.x) for g in elements[:, None])
    after = torch.stack([box(x).flatten(1) for x in batches])
    covariance = own.T @ own / len(own)
    if noise is not None:
        covariance = torch.diag(still.square().mean(0) * noise**2)
    view = whitening(torch.cat([still, after.flatten(0, 1)]), covariance)
    if not view.rank:
        raise ValueError("f must give outputs with less noise: all of them are drowned in it.")
    return view, view(still), view(after)


def _check_sizes(outputs: Tensor) -> None:
    n, dim = outputs.shape
    if dim > _MOST_OUTPUTS:
        raise ValueError(
            f"f must give at most {_MOST_OUTPUTS} numbers; got {dim}. Identify a part of them."
        )
    if n < 2 * (dim + 1):
        raise ValueError(
            f"data must hold at least 2 (D + 1) = {2 * (dim + 1)} inputs for D = {dim} outputs; got {n}."
        )


def _result(run: Run, pairs: Tensor, refits: int, seed: int, batched: bool) -> Identified:
    """The answer of a run."""
    first = run.carried(run.moments(), torch.arange(run.fitted), run.irreps)
    name = first.name(run.group, run.view.rank)
    last = run.fitted + _HELD_OUT
    rows = torch.arange(run.half, len(run.still))
    linear = linear_checks(run.moments(), run.still[rows], run.after[:, rows], last, pairs)
    found = _found(run, first, name, rows, last)
    reason, defect = why_none(found, linear)
    return Identified(
        name=NONE if reason else name,
        group=run.group.name,
        defect=defect if reason else max(found.blocks.values()),
        floor=max(found.floors.values(), default=linear.floor),
        certainty=run.certainty(first, name, refits, seed),
        runner_up=first.runner_up,
        alternatives={} if reason else alternatives_of(run.group, first, run.shift),
        partial=text_of(run.group, first.counts, first.place is not None) if reason else "",
        reason=reason,
        notes=_notes(run.view),
        blocks=found.blocks,
        linear_defect=linear.defect,
        homomorphism_defect=linear.homomorphism,
        elements=run.elements[:last],
        characters=np.stack([linear.characters, _expected(run, first, last, reason)], axis=1),
        basis=found.basis,
        offset=found.offset,
        columns=columns_of(found),
        dim=len(run.view.mean),
        rank=run.view.rank,
        is_batched=batched,
    )


def _found(run: Run, first: Carried, name: str, rows: Tensor, last: int) -> Found:
    """What is judged: coordinates of the raw outputs, and their defects on data that were not fitted."""
    blocks, floors = run.defects(first, rows, torch.arange(last))
    matrix, offset, parts = run.functionals(first)
    basis = matrix @ run.view.matrix
    offset = offset - basis @ run.view.mean
    fixed = {c.irrep.name for c in first.copies if c.is_trivial}
    for block, columns in parts:
        if block in fixed:
            offset[columns] = 0  # a constant more or less keeps an invariant invariant
    shifts = run.places[1].square().mean().sqrt().item()
    return Found(
        name,
        first,
        run.view.rank,
        run.half,
        run.tolerance,
        blocks,
        floors,
        basis,
        offset,
        parts,
        shifts,
    )


def _expected(run: Run, first: Carried, last: int, reason: str) -> np.ndarray:
    """The character that the name says, NaN without one."""
    trace = torch.full((last,), np.nan if reason else 0.0, dtype=torch.float64)
    for copies in first.copies:
        trace = trace + len(copies) * torch.einsum("kii->k", run.matrices[copies.irrep.name][:last])
    if first.place is not None:
        trace = trace + torch.einsum("kii->k", run.places[0][:last])
    return trace.numpy()


def _notes(view: Whitening) -> list[str]:
    """What the outputs could not show."""
    notes = []
    if view.constant:
        notes.append(f"the outputs span {view.rank + view.drowned} of {len(view.mean)} directions")
    if view.drowned:
        notes.append(f"noise drowns {view.drowned} directions of the outputs, so they are left out")
    return notes
