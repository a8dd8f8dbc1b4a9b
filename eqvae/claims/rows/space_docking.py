"""Fitting molecules into others by trying every rotation and translation."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.rows.space_search import SEARCH
from eqvae.symmetry import SpaceMotions
from eqvae.three.search.fitting import RigidFit
from eqvae.three.search.placements import Placements

SIZES = (70, 50, 40)  # points of each part of the complex
NOISE = 0.5  # Angstrom
FITTED = 1.1  # Angstrom, below which a pose counts as found
_CLOSEST, _DENSITY = 3.8, 0.0075  # Angstrom between points, points in a cubic Angstrom: C-alpha's


def packed_points(count: int, generator: torch.Generator) -> Tensor:
    """Points in a ball, as dense and as far apart as C-alpha atoms of a fold, (count, 3)."""
    radius = (3 * count / (4 * torch.pi * _DENSITY)) ** (1 / 3)
    points = torch.zeros(0, 3, dtype=torch.float64)
    closest = _CLOSEST
    while len(points) < count:
        new = 2 * radius * torch.rand(200, 3, generator=generator).double() - radius
        for point in new[new.norm(dim=1) < radius]:
            if len(points) < count and bool(((points - point).norm(dim=1) > closest).all()):
                points = torch.cat([points, point[None]])
        closest *= 0.97
    return points


def complex_of(seed: int, sizes: tuple[int, ...] = SIZES) -> list[Tensor]:
    """Parts of a complex, one beside the other."""
    generator = torch.Generator().manual_seed(seed)
    parts, at = [], torch.zeros(3, dtype=torch.float64)
    for count in sizes:
        part = packed_points(count, generator)
        reach = part.norm(dim=1).max()
        direction = torch.nn.functional.normalize(
            torch.randn(3, generator=generator).abs().double(), dim=0
        )
        at = at + reach * direction
        parts.append(part + at)
        at = at + reach * direction
    return parts


def away(found: Placements, moved: Tensor, part: Tensor) -> float:
    """Root mean square between where the best placement brings points and where they belong, Angstrom."""
    return (found.moved(moved)[0] - part).square().sum(-1).mean().sqrt().item()


@claim(
    "45/docking",
    subject=SEARCH,
    title="Rotations at once, translations on a grid: docking",
    told="The best alignment of two molecules is found by comparing all poses of one of them.",
    found=(
        "A part of a complex of points gets noise, is moved to a random pose and looked for over a grid of "
        "translations times all rotations. What makes the comparison work is the power of each degree and "
        "shell that it is divided by: without it the densest region wins, wherever the part belongs."
    ),
)
def docking(seed: int) -> Measured:
    return searched(complex_of(seed), seed)


def searched(parts: list[Tensor], seed: int) -> Measured:
    """Each part of a complex is looked for in the whole."""
    whole, generator = torch.cat(parts), torch.Generator().manual_seed(100 + seed)
    right, wrong, seconds = [], [], []
    for part in parts:
        noisy = part + NOISE * torch.randn(part.shape, generator=generator).double()
        g = SpaceMotions().sample(1, shift=20.0, generator=generator).double()
        moved = SpaceMotions().act(g, noisy)
        found = RigidFit()(whole, moved, most=3)
        right.append(away(found, moved, part))
        seconds.append(found.seconds_per_million)
        plain = RigidFit(whiten=False, candidates=1)(whole, moved, most=1)
        wrong.append(away(plain, moved, part))

    def draw(axes: Axes) -> None:
        places = torch.arange(len(parts))
        axes.bar(places - 0.2, right, 0.4, color="#2a6ab0", label="divided by the powers")
        axes.bar(places + 0.2, wrong, 0.4, color="#c05621", label="as it is")
        axes.axhline(FITTED, color="0.4", linewidth=0.8)
        axes.set_xticks(places.tolist(), [f"{len(part)} points" for part in parts])
        axes.set(ylabel="from the true place, Angstrom", yscale="log")
        axes.legend()

    return Measured(
        max(right),
        bound=FITTED,
        control=sum(wrong) / len(wrong),
        holds=max(right) < FITTED,
        floor=NOISE * 3**0.5,
        unit="Angstrom",
        others={"seconds a million poses": sum(seconds) / len(seconds)},
        draw=draw,
    )
