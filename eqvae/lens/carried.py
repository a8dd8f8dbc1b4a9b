"""What whitened outputs carry: the irreps among them, a position, and how sure that is.

Rows of the data are in two halves: the first is fitted, the second shows whether it was more than a fit.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.lens.identified import NONE
from eqvae.lens.intertwiners import Copies, Place, copies_of, place_among
from eqvae.lens.outputs import Moments, Whitening
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION, Irrep, place_of, text_of

_PLAUSIBLE = 0.6  # relative defect above which no refit makes an irrep one of the outputs'


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
class Run:
    """One identification at work: whitened outputs w, (N, r), and w' after each element, (M, N, r).

    Attributes:
        group: that acts.
        irreps: that may be among the outputs.
        elements: (M, E); the first `fitted` of them are fitted.
        view: of the raw outputs.
        still: w, the first half of the rows to be fitted.
        after: w'.
        tolerance: largest relative defect.
        shift: radius of the shifts among the elements.
        fitted: how many elements are fitted.
    """

    group: Group
    irreps: tuple[Irrep, ...]
    elements: Tensor
    view: Whitening
    still: Tensor
    after: Tensor
    tolerance: float
    shift: float
    fitted: int

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
        return Moments.of(self.still[rows], self.after[:, rows], self.view.noise)

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

    def certainty(self, first: Carried, name: str, refits: int, seed: int) -> float:
        """Agreement of refits on rows drawn anew and, of a continuous group, on some of the draws."""
        generator = torch.Generator().manual_seed(seed + 2)
        near = tuple(i for i in self.irreps if first.least.get(i.name, 2.0) < _PLAUSIBLE)
        if self.view.doubtful:
            return 0.0  # of the outputs' directions some could not be seen
        agree = 0
        for _ in range(refits):
            rows = torch.randint(self.half, (self.half,), generator=generator)
            keep = torch.rand(self.fitted, generator=generator) < 0.75
            keep[: self._always()] = True
            again = self.carried(self.moments(rows), keep.nonzero()[:, 0], near)
            agree += again.name(self.group, self.view.rank) == name
        return (agree + 1) / (refits + 2)

    def _always(self) -> int:
        """How many elements must not be left out: all of a finite group, generators of another."""
        return self.fitted if getattr(self.group, "is_finite", False) else min(4, self.fitted)

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
        after = self.after[used][:, rows] @ matrix.T + offset
        noise = 2 * torch.diagonal(matrix @ self.view.noise @ matrix.T)
        found, floors = {}, {}
        for name, columns in blocks:
            now = still[:, columns]
            if carried.place is not None and columns.start == 0:
                linear, shift = (part[used] for part in self.places)
                should = now @ linear.mT + shift[:, None]
            else:
                copies = now.unflatten(1, (-1, self.matrices[name].shape[1]))
                should = torch.einsum("kij,ncj->knci", self.matrices[name][used], copies).flatten(2)
            seen = after[:, :, columns]
            spread = torch.cat([seen, now[None]]).flatten(0, 1).var(0, correction=0).sum()
            error = (seen - should).square().sum(2).mean()
            found[name] = (error / spread).sqrt().item()
            floors[name] = (noise[columns].sum() / spread).sqrt().item()
        return found, floors
