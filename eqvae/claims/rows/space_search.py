"""Search over poses in space: every rotation at once, and how well poses are found."""

import time
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.symmetry import SpaceRotations
from eqvae.symmetry.space import rotation_part
from eqvae.symmetry.space_motions import pose_distance
from eqvae.symmetry.wigner import wigners
from eqvae.three.lift import Lift, centroid, reach
from eqvae.three.search import RotationGrid, RotationSearch, on_grid, pairs

SEARCH = "Poses in space"
_SO3 = SpaceRotations()
_SAME = 1e-12  # relative: the FFT against the explicit sum
_LMAX, _LOW = 8, 2
_FEWER = 1e-4  # time of a pose, against lifting it again
_FAR = 5.0  # degrees: a third of what degree 12 tells apart, 180 / 12


def chains(seed: int, n: int, atoms: int) -> Tensor:
    """Random walks of steps of 3.8 Angstrom that a weak pull keeps together, about their centroids."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(atoms, n, 3, generator=generator, dtype=torch.float64)
    places = [torch.zeros(n, 3, dtype=torch.float64)]
    for step in 3.8 * steps / steps.norm(dim=-1, keepdim=True):
        places.append(0.97 * places[-1] + step)
    points = torch.stack(places[1:], dim=1)
    return points - centroid(points)


def turns(seed: int, n: int) -> Tensor:
    return _SO3.sample(n, generator=torch.Generator().manual_seed(seed + 100)).double()


@claim(
    "43",
    subject=SEARCH,
    title="Every rotation at once",
    told="Trying all poses takes too long, unless each molecule is encoded only once.",
    found=(
        "Two clouds of points become coefficients once; a Fourier transform on the rotations then compares "
        "them in thousands of poses, and each number is that of the explicit sum over Wigner matrices. Time "
        "for one pose is set against lifting the turned cloud again; a wrong direction of turning is the "
        "control."
    ),
)
def all_at_once(seed: int) -> Measured:
    points = chains(seed, 2, 400)
    lift = Lift.covering(reach(points), lmax=_LMAX)
    a, b = lift(points).split(1)
    grid = RotationGrid.of(_LMAX)
    values = on_grid(pairs(a, b), grid).flatten()
    index = torch.randperm(len(grid), generator=torch.Generator().manual_seed(seed))[:500]
    elements, right, wrong = grid.elements(index), 0, 0
    for degree, d in wigners(range(_LMAX + 1), rotation_part(elements)).items():
        part = slice(degree**2, (degree + 1) ** 2)
        right = right + torch.einsum("pcni,gij,pcnj->g", a[..., part], d, b[..., part])
        wrong = wrong + torch.einsum("pcni,gji,pcnj->g", a[..., part], d, b[..., part])
    size = right.std()
    error, control = (((values[index] - each).abs().max() / size).item() for each in (right, wrong))
    again = _seconds(lambda: lift(_SO3.act(elements[:1], points[:1])))
    one = _seconds(lambda: on_grid(pairs(a, b), grid)) / len(grid)
    return Measured(
        error,
        bound=_SAME,
        control=control,
        holds=error < _SAME and one < _FEWER * again,
        floor=0.0,
        others={
            "rotations": float(len(grid)),
            "microseconds a pose": 1e6 * one,
            "times faster than lifting again": again / one,
        },
        draw=bars({"one of all": one, "lifted again": again}, "seconds a pose", bound=1e-5),
    )


@claim(
    "45",
    subject=SEARCH,
    title="The best rotation of one structure onto another",
    told="A search over rotations finds how two complex molecules lie best on each other.",
    found=(
        "Chains of points are turned at random, lose half of their points and are shaken by an Angstrom: the "
        "grid's best pose is refined by Newton's method and compared with the truth. Whole chains come back "
        "to rounding; with too few degrees, the control, the damaged ones are lost."
    ),
)
def best_rotation(seed: int) -> Measured:
    whole, damaged = alignment(seed, 12)
    _, low = alignment(seed, _LOW)

    def draw(axes: Axes) -> None:
        for errors, label in ((damaged, "lmax 12"), (low, f"lmax {_LOW}")):
            axes.semilogy(errors.sort().values, "o-", markersize=3, label=label)
        axes.set(xlabel="chains, best first", ylabel="error, degrees")
        axes.legend()

    return Measured(
        damaged.max().item(),
        bound=_FAR,
        control=low.max().item(),
        holds=whole.max().item() < 0.1 and damaged.max().item() < _FAR,
        floor=whole.max().item(),
        ceiling=180.0,
        unit="degrees",
        others={"median": damaged.median().item(), "whole chains": whole.max().item()},
        draw=draw,
    )


def alignment(seed: int, lmax: int, n: int = 12, atoms: int = 500) -> tuple[Tensor, Tensor]:
    """Errors of n poses in degrees: of whole chains, and of damaged ones."""
    points, truth = chains(seed, n, atoms), turns(seed, n)
    generator = torch.Generator().manual_seed(seed + 200)
    moved = _SO3.act(truth, points)
    kept = torch.rand(n, atoms, generator=generator) < 0.5
    shaken = moved + torch.randn(moved.shape, generator=generator, dtype=torch.float64)
    shaken = shaken - centroid(shaken, kept)
    lift = Lift.covering(reach(points), num_shells=10, lmax=lmax)
    template, search = lift(points), RotationSearch()
    found = (search(lift(moved), template), search(lift(shaken, mask=kept.double()), template))
    return tuple(pose_distance(poses.best, truth).degrees for poses in found)


def _seconds(f: Callable[[], object]) -> float:
    """The least of five calls after a first one."""
    f()
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        f()
        times.append(time.perf_counter() - begin)
    return min(times)
