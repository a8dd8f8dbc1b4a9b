"""Which representation does a function's output carry?  f(g x) = rho(g) f(x), rho unknown.

    1  f at the data and at moved data; noise by calling it twice            `function`, `actions`
    2  coordinates in which the outputs' spread is 1 in every direction       `outputs`
    3  for every irrep of the group the functionals that move as it does      `intertwiners`
    4  if they make up all directions, that is rho, up to a change of basis; if not, none

and beside it, without any list of irreps, the best linear maps M(g) on data that were not fitted, whether
M(g) M(h) = M(g h), and their traces, which are rho's character.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.lens.actions import Moves, elements_of, movement
from eqvae.lens.function import BlackBox, Function
from eqvae.lens.identified import NONE, Identified
from eqvae.lens.intertwiners import Copies, Place, copies_of, place_among
from eqvae.lens.outputs import Moments, Whitening, whitening
from eqvae.lens.verdict import alternatives_of, columns_of, linear_checks, why_none
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION, Irrep, irreps_of, place_of, text_of

_HELD_OUT = 4  # draws of a group that are not fitted
_PRODUCTS = 4  # of elements, for M(g) M(h) = M(g h)
_PLAUSIBLE = 0.6  # relative defect above which no refit makes an irrep one of the outputs'
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
        f: a torch module, or a function of tensors or NumPy arrays, of one row or of many; see
            `eqvae.lens.function`.
        group: `PlaneMotions` or `SpaceRotations`.
        rho_in: how inputs move: a representation or its text ("2x1o"), "points" for (N, P, dim), a `Domain`
            for its signals, or a function (g, x) -> g x; see `eqvae.lens.actions.movement`.
        data: inputs, (N, ...), at least 2 (D + 1) of them for D outputs: half are fitted, half tested.
        shift: radius of random shifts in the plane, pixels; needed to see positions.
        noise: standard deviation of the outputs' noise relative to each output's root mean square; None
            finds it by calling f twice.
        tolerance: largest relative defect, noise taken off, of what carries a representation.
        max_frequency: highest frequency, or degree, that is tried where a group has no highest.
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
    a, b = torch.randint(len(fitted), (2, _PRODUCTS), generator=pick)
    elements = torch.cat([fitted, new, group.compose(fitted[a], fitted[b])])
    still, noisy = box.twice()
    still, noisy = still.flatten(1), noisy.flatten(1)
    _check_sizes(still)
    moved = torch.stack([box(moves.act(g.expand(len(box.x), -1), box.x)).flatten(1) for g in elements])
    covariance = noisy.T @ noisy / len(noisy)
    if noise is not None:
        covariance = torch.diag(still.square().mean(0) * noise**2)
    view = whitening(torch.cat([still, moved.flatten(0, 1)]), covariance)
    if not view.rank:
        raise ValueError("f must give outputs with less noise: all of them are drowned in it.")
    irreps = tuple(i for i in irreps_of(group, max_frequency) if i.dim <= view.rank)
    order = torch.randperm(len(still), generator=pick)
    run = _Run(group, irreps, elements, view, view(still)[order], view(moved)[:, order], tolerance, shift)
    return run.result(len(fitted), (a, b), refits, seed, box.is_batched)


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


@dataclass(frozen=True)
class Carried:
    """The irreps among outputs, and a position.

    Attributes:
        copies: of every irrep that there is.
        place: the position, or None.
        runner_up: the irrep refused with the smallest defect, and this.
        least: the smallest defect of every irrep.
    """

    copies: list[Copies]
    place: Place | None
    runner_up: tuple[str, float]
    least: dict[str, float]

    @property
    def counts(self) -> dict[str, int]:
        return {c.irrep.name: len(c) for c in self.copies}

    @property
    def dim(self) -> int:
        return sum(len(c) * c.irrep.dim for c in self.copies) + (
            0 if self.place is None else len(self.place.functional)
        )

    def name(self, group: Group, rank: int) -> str:
        """The text of the whole, "none" if it is not all of the outputs."""
        if self.dim != rank:
            return NONE
        return text_of(group, self.counts, self.place is not None)


@dataclass(frozen=True)
class _Run:
    """One identification at work: whitened outputs w (N, r) and w' (M, N, r), the first half to be fitted."""

    group: Group
    irreps: tuple[Irrep, ...]
    elements: Tensor
    view: Whitening
    still: Tensor
    moved: Tensor
    tolerance: float
    shift: float

    @cached_property
    def matrices(self) -> dict[str, Tensor]:
        return {irrep.name: irrep.matrix(self.elements) for irrep in self.irreps}

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        return place_of(self.group, self.elements)

    @property
    def half(self) -> int:
        return len(self.still) // 2

    def moments(self, rows: Tensor | None = None) -> Moments:
        """Of the rows to be fitted."""
        rows = torch.arange(self.half) if rows is None else rows
        return Moments.of(self.still[rows], self.moved[:, rows], self.view.noise)

    def carried(self, moments: Moments, chosen: Tensor, irreps: tuple[Irrep, ...]) -> Carried:
        """What some elements say, by number."""
        some, found, refused, least = moments.select(chosen), [], [("", 2.0)], {}
        for irrep in irreps:
            copies = copies_of(irrep, self.matrices[irrep.name][chosen], some, self.tolerance)
            refused.append((irrep.name, copies.refused))
            least[irrep.name] = min([copies.refused, *copies.defects.tolist()])
            if len(copies):
                found.append(copies)
        place = None
        if self.shift:
            linear, shifts = self.places
            place = place_among(linear[chosen], shifts[chosen], some, self.tolerance)
            place = place if place.defect <= self.tolerance + place.allowed else None
        return Carried(found, place, min(refused, key=lambda pair: pair[1]), least)

    def certainty(self, first: Carried, name: str, fitted: int, refits: int, seed: int) -> float:
        """Agreement of refits on rows drawn anew and, of a continuous group, on some of the draws."""
        generator = torch.Generator().manual_seed(seed + 2)
        near = tuple(i for i in self.irreps if first.least.get(i.name, 2.0) < _PLAUSIBLE)
        if self.view.doubtful:
            return 0.0  # of the outputs' directions some could not be seen
        agree = 0
        for _ in range(refits):
            rows = torch.randint(self.half, (self.half,), generator=generator)
            keep = torch.rand(fitted, generator=generator) < 0.75
            keep[: self._always(fitted)] = True
            again = self.carried(self.moments(rows), keep.nonzero()[:, 0], near)
            agree += again.name(self.group, self.view.rank) == name
        return (agree + 1) / (refits + 2)

    def _always(self, fitted: int) -> int:
        """How many elements must not be left out: all of a finite group, generators of another."""
        return fitted if getattr(self.group, "is_finite", False) else min(4, fitted)

    def functionals(self, carried: Carried) -> tuple[Tensor, Tensor, list[tuple[str, slice]]]:
        """Coordinates u = T w + b in the order of the text: T (u, r), b (u,), and the block of each irrep."""
        rows, shifts, blocks, start = [], [], [], 0
        if carried.place is not None:
            rows, shifts = [carried.place.functional], [carried.place.offset]
            blocks, start = [(POSITION, slice(0, len(rows[0])))], len(rows[0])
        for copies in carried.copies:
            size = copies.irrep.dim**0.5
            rows.append(size * copies.functionals.flatten(0, 1))
            shifts.append(size * copies.offsets.flatten())
            blocks.append((copies.irrep.name, slice(start, start + len(rows[-1]))))
            start += len(rows[-1])
        if not rows:
            return self.still.new_zeros(0, self.view.rank), self.still.new_zeros(0), []
        return torch.cat(rows), torch.cat(shifts), blocks

    def defects(
        self, carried: Carried, rows: Tensor, used: Tensor
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Relative defect of each block on rows and elements by number, and what noise gives of it."""
        matrix, offset, blocks = self.functionals(carried)
        still = self.still[rows] @ matrix.T + offset
        moved = self.moved[used][:, rows] @ matrix.T + offset
        noise = 2 * torch.diagonal(matrix @ self.view.noise @ matrix.T)
        found, floors = {}, {}
        for name, columns in blocks:
            now = still[:, columns]
            if carried.place is not None and columns.start == 0:
                linear, shift = (part[used] for part in self.places)
                expected = now @ linear.mT + shift[:, None]
            else:
                copies = now.unflatten(1, (-1, self.matrices[name].shape[1]))
                expected = torch.einsum("kij,ncj->knci", self.matrices[name][used], copies).flatten(2)
            actual = moved[:, :, columns]
            spread = torch.cat([actual, now[None]]).flatten(0, 1).var(0, correction=0).sum()
            error = (actual - expected).square().sum(2).mean()
            found[name] = (error / spread).sqrt().item()
            floors[name] = (noise[columns].sum() / spread).sqrt().item()
        return found, floors

    def result(
        self, fitted: int, pairs: tuple[Tensor, Tensor], refits: int, seed: int, batched: bool
    ) -> Identified:
        first = self.carried(self.moments(), torch.arange(fitted), self.irreps)
        name = first.name(self.group, self.view.rank)
        last = fitted + _HELD_OUT
        rows, used = torch.arange(self.half, len(self.still)), torch.arange(last)
        blocks, floors = self.defects(first, rows, used)
        linear = linear_checks(self.moments(), self.still[rows], self.moved[:, rows], last, pairs)
        matrix, offset, parts = self.functionals(first)
        in_raw = matrix @ self.view.matrix
        away = offset - in_raw @ self.view.mean
        trivial = [c.irrep.name for c in first.copies if c.irrep.dim == 1 and not c.offsets.any()]
        for block, columns in parts:
            if block in trivial:
                away[columns] = 0
        certainty = self.certainty(first, name, fitted, refits, seed)
        partial = text_of(self.group, first.counts, first.place is not None)
        reason, defect = why_none(self, first, name, blocks, floors, away, parts, linear)
        floor = max(floors.values(), default=linear.floor)
        expected = np.full(last, np.nan)
        if not reason:
            defect = max(blocks.values())
            expected = sum(
                len(c) * torch.einsum("kii->k", self.matrices[c.irrep.name][:last]).numpy()
                for c in first.copies
            )
            if first.place is not None:
                expected = expected + torch.einsum("kii->k", self.places[0][:last]).numpy()
        return Identified(
            name=NONE if reason else name,
            group=self.group.name,
            defect=defect,
            floor=floor,
            certainty=certainty,
            runner_up=first.runner_up,
            alternatives={} if reason else alternatives_of(self.group, first, self.shift),
            partial=partial if reason else "",
            reason=reason,
            notes=self.notes(),
            blocks=blocks,
            linear_defect=linear.defect,
            homomorphism_defect=linear.homomorphism,
            elements=self.elements[:last],
            characters=np.stack([linear.characters, expected], axis=1),
            basis=in_raw,
            offset=away,
            columns=columns_of(in_raw, parts, self.view),
            dim=len(self.view.mean),
            rank=self.view.rank,
            is_batched=batched,
        )

    def notes(self) -> list[str]:
        """What the outputs could not show."""
        view, notes = self.view, []
        if view.constant:
            notes.append(f"the outputs span {view.rank + view.drowned} of {len(view.mean)} directions")
        if view.drowned:
            notes.append(f"noise drowns {view.drowned} directions of the outputs, so they are left out")
        return notes
