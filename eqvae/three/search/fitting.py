"""Rigid fitting: where points lie among others, over the translations of a grid times all rotations.

About each translation t the larger set has coefficients F(t), the smaller one about its centroid G. With the
power P_nl of F over all t, the score of a rotation R at t is the matched filter

    S(t, R) = sum_nl <F_nl(t), D_l(R) G_nl> / P_nl,      over |F(t)|_P

Without the powers, low degrees of wide shells drown the rest: where there is most matter looks best. The best
poses are refined on the exact overlap of the points (see `overlap`), which also ranks them: the share of
points that find a partner within about a width.
"""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space import rotation_matrix
from eqvae.symmetry.space_motions import space_motion, translation_of, turn_of, with_translation
from eqvae.three.lift import Lift, spanned
from eqvae.three.search.correlation import RotationGrid, on_grid, pairs
from eqvae.three.search.overlap import PairScore, Term, climb
from eqvae.three.search.placements import Placements, distinct
from eqvae.three.search.translations import coefficients_about, places
from eqvae.watch import Watch, unwatched

_AT_ONCE = 128  # translations
_STEPS_IN_RADIUS, _STEP_RANGE = 6, (1.5, 6.0)  # of the grid of translations, Angstrom
_RESOLVED = 8  # degree that so many steps are fine enough for
_EACH = 4  # rotations kept of each translation
_WIDE = 3.0  # the first width of refinement, in units of the last
_SOME = 60  # points that are enough at that width
_STEPS = 6  # of Newton's method at each width


@dataclass(frozen=True)
class RigidFit:
    """Find a chain in a complex, or any points in others.

    Args:
        lmax: highest degree of the coefficients.
        num_shells: radial functions of the smaller set.
        step: of the grid of translations, Angstrom; None for a sixth of the smaller set's radius, above lmax
            8 for that times 8 / lmax, since finer details are missed sooner; 1.5 to 6.
        width: within which points count as matched at the end, Angstrom.
        share: of the smaller set that must have room about a translation for it to be looked at.
        candidates: distinct poses that are refined.
        apart: least root mean square between poses that count as two, Angstrom.
        whiten: divide by the powers; without them the search is shown to fail.

    Raises:
        ValueError: if an argument is out of its range.
    """

    lmax: int = 8
    num_shells: int = 6
    step: float | None = None
    width: float = 1.0
    share: float = 0.9
    candidates: int = 48
    apart: float = 3.0
    whiten: bool = True

    def __post_init__(self) -> None:
        for name in ("step", "width", "apart"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, Angstrom; got {value!r}.")
        for name in ("lmax", "num_shells", "candidates"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be a whole number >= 1; got {getattr(self, name)!r}."
                )
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be from 0 to 1; got {self.share!r}.")

    def __call__(
        self, larger: Tensor, smaller: Tensor, *, most: int = 10, watch: Watch = unwatched
    ) -> Placements:
        """The best distinct placements of the smaller set in the larger one.

        Args:
            larger: (N, 3), Angstrom.
            smaller: (M, 3).
            most: how many at most.
            watch: progress of the search.

        Raises:
            ValueError: if points are not finite, the smaller set has no pose, or it fits nowhere.
        """
        larger, smaller = checked("larger", larger), checked("smaller", smaller, posed=True)
        begin = time.monotonic()
        centre = smaller.mean(0)
        arms = smaller - centre
        reach = arms.norm(dim=1).max().item()
        lift = Lift.covering(reach, self.num_shells, self.lmax)
        least = max(1, math.floor(self.share * len(smaller)))
        step = self.step or self.step_for(reach)
        centres = places(larger, step=step, within=reach + step / 2, least=least)
        if not len(centres):
            raise ValueError(
                f"the smaller set must find room in the larger one: about none of the places that are tried, "
                f"{step:.3g} Angstrom apart, are {least} points within {reach:.0f} Angstrom. Exchange the "
                "two, lower step, or leave out what has no place in the larger one."
            )
        about = torch.cat(
            [
                coefficients_about(lift, larger, part)
                for part in watch(centres.split(8 * _AT_ONCE), "coefficients")
            ]
        )
        own = lift(arms[None].float())[0, 0]
        about = about[:, None]
        weights, norms = powers(about) if self.whiten else (None, None)
        poses, scores, count = search(
            about, own[None], centres, weights=weights, norms=norms, watch=watch
        )
        searched = time.monotonic()
        poses = with_translation(
            poses, translation_of(poses) - turned(poses, centre)
        )  # of the points as they are
        poses, coarse, values = self._refined(larger, smaller, poses, scores, most)
        seconds = time.monotonic() - searched
        return Placements(poses, values, coarse, count, searched - begin, seconds)

    def step_for(self, reach: float) -> float:
        """The step of the grid for a set of that radius where none is given, Angstrom."""
        step = reach / _STEPS_IN_RADIUS * min(1.0, _RESOLVED / self.lmax)
        return min(max(step, _STEP_RANGE[0]), _STEP_RANGE[1])

    def _refined(
        self, larger: Tensor, smaller: Tensor, poses: Tensor, scores: Tensor, most: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best of the coarse poses on the exact score: poses, coarse scores, scores."""
        chosen = distinct(poses, scores, smaller, apart=self.apart, most=self.candidates)
        poses, scores = poses[chosen].float(), scores[chosen]
        some = smaller[:: math.ceil(len(smaller) / _SOME)].float()
        for points, factor, kept in (
            (some, _WIDE, max(most, self.candidates // 4)),
            (smaller.float(), 1.0, most),
        ):
            wide = factor * self.width
            score = PairScore(larger.float(), detail(wide, len(points)))
            poses, values = climb(score, points, poses, steps=_STEPS, reach=2 * wide)
            chosen = distinct(poses, values, points, apart=self.apart, most=kept)
            poses, scores = poses[chosen], scores[chosen]
        exact = PairScore(larger, (Term(self.width, 1 / len(smaller)),))
        poses, values = climb(exact, smaller, poses.double(), steps=3, reach=0.1 * self.width)
        order = values.argsort(descending=True)
        return poses[order], scores[order], values[order]


def detail(width: float, count: int) -> tuple[Term, Term]:
    """A Gaussian less one of twice its width and the same integral: it does not see mere density."""
    return Term(width, 1 / count), Term(2 * width, -1 / (8 * count))


def search(
    about: Tensor,
    own: Tensor,
    centres: Tensor,
    *,
    weights: Tensor | None = None,
    norms: Tensor | None = None,
    watch: Watch = unwatched,
) -> tuple[Tensor, Tensor, int]:
    """The best rotations about every translation.

    Args:
        about: coefficients about each, (T, C, n, (lmax + 1)^2).
        own: of what is turned, (C, n, (lmax + 1)^2).
        centres: the translations, (T, 3).
        weights: of each shell and degree, (n, lmax + 1); None for 1.
        norms: of each translation, by which its scores are divided, (T,); None for 1.
        watch: progress.

    Returns:
        Poses (K, 8) of centred points, their scores in standard deviations over all poses (K,), and how many
        were compared.
    """
    lmax = math.isqrt(own.shape[-1]) - 1
    grid = RotationGrid.of(lmax, oversampling=1.0)
    norms = about.new_ones(len(about)) if norms is None else norms
    elements = grid.elements()
    poses, scores, total, squares = [], [], 0.0, 0.0
    for at in watch(range(0, len(centres), _AT_ONCE), "poses"):
        rows = slice(at, at + _AT_ONCE)
        all_scores = on_grid(pairs(about[rows], own, weights), grid).flatten(1) / norms[rows, None]
        total += all_scores.double().sum().item()
        squares += all_scores.double().square().sum().item()
        best, which = all_scores.topk(_EACH, dim=1)
        scores.append(best.flatten())
        t = centres[rows].repeat_interleave(_EACH, dim=0)
        poses.append(space_motion(elements[which.flatten()].to(t), t))
    count = len(centres) * len(grid)
    mean = total / count
    spread = math.sqrt(max(squares / count - mean**2, 1e-30))
    return torch.cat(poses), (torch.cat(scores) - mean) / spread, count


def powers(about: Tensor) -> tuple[Tensor, Tensor]:
    """1 / P_nl, (n, lmax + 1), and the norms |F(t)|_P, (T,), of coefficients (T, C, n, (lmax + 1)^2)."""
    degrees = range(math.isqrt(about.shape[-1]))
    squares = torch.stack(
        [about[..., d * d : (d + 1) ** 2].square().sum(dim=(1, 3)) for d in degrees], dim=-1
    )
    power = squares.mean(0) / (2 * torch.arange(squares.shape[-1]).to(about) + 1)
    weights = 1 / power.clamp_min(1e-9 * power.max())
    norms = (squares * weights).sum(dim=(1, 2)).sqrt()
    return weights, norms.clamp_min(1e-3 * norms.mean())


def checked(name: str, points: Tensor, *, posed: bool = False) -> Tensor:
    """Points (N, 3) in float64.

    Args:
        name: of the argument.
        points: Angstrom.
        posed: whether they must determine a rotation.
    """
    if points.dim() != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"{name} must be points (N, 3), at least one; got {tuple(points.shape)}.")
    if not bool(points.isfinite().all()):
        raise ValueError(
            f"{name} must be finite numbers; got NaN or infinity. Leave such points out."
        )
    points = points.double()
    if posed and (len(points) < 3 or int(spanned(points[None])) < 2):
        raise ValueError(
            f"{name} must be at least three points that are not on one line, else its rotation is not "
            f"determined; got {_told(points)}."
        )
    return points


def _told(points: Tensor) -> str:
    where = ("in one place", "on one line", "in a plane", "in space")[int(spanned(points[None]))]
    return "1 point" if len(points) == 1 else f"{len(points)} points {where}"


def turned(poses: Tensor, point: Tensor) -> Tensor:
    """A point as each pose turns it, (3,) -> (K, 3)."""
    return rotation_matrix(turn_of(poses)) @ point
