"""Rigid docking: where a molecule lies on another one, over the translations of a grid times all rotations.

    S(g) = sum_ij [ a_ij exp(-r_ij^2 / (2 s^2)) - b_ij exp(-r_ij^2 / (2 t^2)) ],      r_ij = |g p_i - q_j|

attracts atoms to the distance of a contact and keeps them from overlapping: carbons at 3.9 Angstrom, polar
ones (N, O) at 2.9, and a mixed pair at half the strength. About each translation the field of the receptor is
taken on spheres and transformed to harmonics, so that its sum over the turned ligand is a correlation over
all rotations at once. The best poses are refined on S itself. Nothing here is fitted to affinities: it is
geometry and a rule of thumb about contacts, which says nothing about how strongly a molecule binds.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.symmetry.space_motions import translation_of, with_translation
from eqvae.three.harmonics import all_harmonics
from eqvae.three.search.fitting import checked, search, turned
from eqvae.three.search.overlap import PairScore, Term, climb
from eqvae.three.search.placements import Placements, distinct
from eqvae.three.search.room import check_search
from eqvae.three.search.translations import places
from eqvae.watch import Watch, unwatched

ATTRACTION, REPULSION = 1.4, 1.2  # widths s and t, Angstrom
_CONTACTS = (  # distance where a pair is best, Angstrom, and its strength: apolar, polar
    ((3.9, 1.0), (3.5, 0.5)),
    ((3.5, 0.5), (2.9, 1.0)),
)
_POLAR = ("N", "O")
_MESH = 0.6  # Angstrom of the grid that fields are kept on
_DIRECTIONS, _RESOLVED = 200, 8  # at least, and the degree that so many are enough for
_AT_ONCE = 256  # translations
_FIRST_STEPS, _STEPS = 3, 10  # of Newton's method: of all candidates, and of the best ones
_KEPT = 8  # one of so many is among the best
_NEAR, _BURIED = (
    6.0,
    0.2,
)  # Angstrom around a ligand's centre, and atoms there: share of an atom's own
_SAMPLE = 500  # atoms that tell how many that are


@dataclass(frozen=True)
class RigidDocking:
    """Find how a rigid molecule lies on another one.

    Args:
        lmax: highest degree of the coefficients.
        shell: distance between spheres, Angstrom.
        step: of the grid of translations, Angstrom.
        candidates: distinct poses that are refined.
        apart: least root mean square between poses that count as two, Angstrom.

    Raises:
        ValueError: if an argument is out of its range.
    """

    lmax: int = 8
    shell: float = 1.0
    step: float = 2.0
    candidates: int = 300
    apart: float = 1.5

    def __post_init__(self) -> None:
        for name in ("shell", "step", "apart"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, Angstrom; got {getattr(self, name)!r}.")
        for name in ("lmax", "candidates"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be a whole number >= 1; got {getattr(self, name)!r}."
                )

    def __call__(
        self,
        receptor: Tensor,
        receptor_elements: Sequence[str],
        ligand: Tensor,
        ligand_elements: Sequence[str],
        *,
        most: int = 10,
        watch: Watch = unwatched,
    ) -> Placements:
        """The best distinct poses of the ligand; hydrogens are left aside.

        Args:
            receptor: (N, 3), Angstrom.
            receptor_elements: of each atom.
            ligand: (M, 3).
            ligand_elements: of each atom.
            most: how many poses at most.
            watch: progress of the search.

        Raises:
            ValueError: if atoms are not finite, or the ligand has no pose.
        """
        q, polar_q = heavy("receptor", receptor, receptor_elements)
        p, polar_p = heavy("ligand", ligand, ligand_elements)
        checked("ligand without its hydrogens", p, posed=True)
        begin = time.monotonic()
        centre = p.mean(0)
        arms = (p - centre).float()
        reach = arms.norm(dim=1).max().item()
        num_shells = math.ceil(reach / self.shell) + 1
        _check_spheres(_AT_ONCE, num_shells, self.lmax)
        shells = self.shell * torch.arange(num_shells)
        some = q[:: math.ceil(len(q) / _SAMPLE)]
        around = (torch.cdist(some, q) < _NEAR).sum(1).double().median().item()
        least = max(1, round(_BURIED * around))
        centres = places(q, step=self.step, within=_NEAR, least=least).float()
        _check_spheres(len(centres), num_shells, self.lmax)
        mesh = Mesh.of(q.float(), polar_q, reach)
        parts = watch(centres.split(_AT_ONCE), "fields")
        about = torch.cat([on_spheres(mesh, part, shells, self.lmax) for part in parts])
        own = on_shells(arms, polar_p, shells, self.lmax)
        poses, scores, count = search(about, own, centres, watch=watch)
        poses = with_translation(poses, translation_of(poses) - turned(poses, centre.float()))
        searched = time.monotonic()
        score = PairScore(q.float(), terms(polar_p, polar_q))
        found = self._refined(score, p.float(), poses, scores, most)
        seconds = time.monotonic() - searched
        return Placements(*found, count, searched - begin, seconds)

    def _refined(
        self, score: PairScore, p: Tensor, poses: Tensor, scores: Tensor, most: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best distinct poses on the exact score, their scores, and the scores of the search."""
        chosen = distinct(poses, scores, p, apart=self.apart, most=self.candidates)
        poses, coarse = poses[chosen].float(), scores[chosen]
        for steps, kept in ((_FIRST_STEPS, max(most, self.candidates // _KEPT)), (_STEPS, most)):
            poses, values = climb(score, p, poses, steps=steps, reach=1.0)
            chosen = distinct(poses, values, p, apart=self.apart, most=kept)
            poses, values, coarse = poses[chosen], values[chosen], coarse[chosen]
        return poses.double(), values.double(), coarse


def heavy(name: str, points: Tensor, elements: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Places of the atoms that are no hydrogen, (N, 3), and which are polar, (N,)."""
    points = checked(name, points)
    if len(elements) != len(points):
        raise ValueError(
            f"{name} must have an element for each of its {len(points)} atoms; got {len(elements)}."
        )
    kept = torch.tensor([element != "H" for element in elements])
    if not bool(kept.any()):
        raise ValueError(f"{name} must have atoms other than hydrogen; it has none.")
    polar = torch.tensor([element in _POLAR for element in elements])
    return points[kept], polar[kept].long()


def strengths(polar_p: Tensor, polar_q: Tensor) -> tuple[Tensor, Tensor]:
    """a and b of pairs: the sum is highest, and the strength, where a contact is best, (M, N) each."""
    distance, strength = torch.tensor(_CONTACTS)[polar_p[:, None], polar_q[None]].unbind(-1)
    half = distance.square() / 2
    attraction, repulsion = (-half / ATTRACTION**2).exp(), (-half / REPULSION**2).exp()
    share = (REPULSION / ATTRACTION) ** 2 * attraction / repulsion  # b / a where the slope vanishes
    a = strength / (attraction - share * repulsion)
    return a, share * a


def terms(polar_p: Tensor, polar_q: Tensor) -> tuple[Term, Term]:
    """S as terms of a `PairScore`."""
    a, b = strengths(polar_p, polar_q)
    return Term(ATTRACTION, a), Term(REPULSION, -b)


@dataclass(frozen=True)
class Mesh:
    """Fields on a grid, for an atom that is apolar and one that is polar.

    Attributes:
        values: (2, X, Y, Z).
        low: its first corner, (3,), Angstrom.
        step: between its points, Angstrom.
    """

    values: Tensor
    low: Tensor
    step: float

    @classmethod
    def of(cls, q: Tensor, polar: Tensor, reach: float) -> "Mesh":
        """The fields of resting atoms, out to `reach` beyond them."""
        low = q.amin(0) - reach
        counts = ((q.amax(0) + reach - low) / _MESH).ceil().long() + 1
        cells = math.prod(float(n) for n in counts)
        needed = 4 * (6 * cells + 4 * len(q) * float(counts[0]) * float(counts[1]))
        extent = float((q.amax(0) - low).max()) + reach
        check_search(
            needed,
            f"fields in {extent:.0f} Angstrom",
            "Leave atoms out that are far from the others.",
        )
        axes = [
            start + _MESH * torch.arange(n) for start, n in zip(low, counts.tolist(), strict=True)
        ]
        # a Gaussian of three coordinates is a product of three
        a, b = strengths(torch.tensor([0, 1]), polar)
        values = 0
        for width, weights in ((ATTRACTION, a), (REPULSION, -b)):
            x, y, z = (
                (-(axis[None] - q[:, i, None]).square() / (2 * width**2)).exp()
                for i, axis in enumerate(axes)
            )
            xy = [torch.einsum("nx,ny->nxy", w[:, None] * x, y).flatten(1) for w in weights]
            values = values + torch.stack([(each.T @ z) for each in xy])
        return cls(values.unflatten(1, tuple(counts[:2].tolist())), low, _MESH)

    def at(self, points: Tensor) -> Tensor:
        """The fields at points (P, 3), by linear interpolation, (2, P)."""
        sizes = torch.tensor(self.values.shape[1:])
        where = 2 * (points - self.low) / (self.step * (sizes - 1)) - 1
        where = where.flip(-1)[None, :, None, None]  # grid_sample asks for z, y, x
        found = F.grid_sample(self.values[None], where, align_corners=True)
        return found[0, :, :, 0, 0]


def _check_spheres(places: int, num_shells: int, lmax: int) -> None:
    """Refuse spheres that memory can't hold: of so many places, and what they are made of."""
    points = min(places, _AT_ONCE) * num_shells * _num_directions(lmax)
    check_search(
        4 * (2 * places * 2 * num_shells * (lmax + 1) ** 2 + 16 * points),
        f"{num_shells:,} spheres to degree {lmax} about {places:,} places",
        "Lower lmax, raise step, or take a smaller ligand.",
    )


def on_spheres(mesh: Mesh, centres: Tensor, shells: Tensor, lmax: int) -> Tensor:
    """Fields about centres (T, 3) as harmonics on spheres, (T, 2, n, (lmax + 1)^2)."""
    directions = _even_directions(_num_directions(lmax))
    points = centres[:, None, None] + shells[:, None, None] * directions
    values = mesh.at(points.flatten(0, 2)).unflatten(1, points.shape[:3])
    degrees = torch.arange(lmax + 1).repeat_interleave(2 * torch.arange(lmax + 1) + 1)
    return values.transpose(0, 1) @ (
        all_harmonics(lmax, directions) * (2 * degrees + 1) / len(directions)
    )


def on_shells(arms: Tensor, polar: Tensor, shells: Tensor, lmax: int) -> Tensor:
    """Atoms (M, 3) shared out to the two nearest spheres, as harmonics, (2, n, (lmax + 1)^2)."""
    distance = arms.norm(dim=1, keepdim=True)
    step = shells[1] - shells[0] if len(shells) > 1 else torch.ones(())
    share = (1 - (distance - shells).abs() / step).clamp_min(0)
    harmonics = all_harmonics(lmax, arms / distance.clamp_min(1e-6))
    kinds = F.one_hot(polar, 2).to(share)
    return torch.einsum("mc,mn,mk->cnk", kinds, share, harmonics)


def _num_directions(lmax: int) -> int:
    """How many directions tell harmonics up to a degree apart."""
    return max(_DIRECTIONS, _DIRECTIONS * (lmax + 1) ** 2 // (_RESOLVED + 1) ** 2)


def _even_directions(count: int) -> Tensor:
    """Directions spread evenly, (count, 3)."""
    height = 1 - (2 * torch.arange(count) + 1) / count
    turn = math.pi * (1 + math.sqrt(5)) * torch.arange(count)
    ring = (1 - height.square()).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), height], dim=1)
