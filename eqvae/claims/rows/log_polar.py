"""Claims about log-polar images: what becomes a shift there, where it stops, and what is given up for it.

Images are sums of Gaussian blobs that are drawn anew at every scale, angle and position, so that nothing is
interpolated before the part under test. Networks are two convolutions, circular along the angle.
"""

import math
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.domains import LogPolarGrid, SquareGrid, disc_mask
from eqvae.nn.localise import CentreOfMass
from eqvae.nn.log_polar import LogPolarConv
from eqvae.symmetry.motions import motion
from eqvae.testing import GaussianScenes

SUBJECT = "Scale"
SIZE, ANGLES, WIDTH = 64, 64, 8
ZOOM = 1.44
EXACT = 1e-10
SMALL = 0.03  # relative: a little more than resampling costs
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9822b", "#888888"
_REACH = 4  # rings that two kernels of five samples see beyond their own
_INNER = (4.0, 2.0, 1.0, 0.5)  # pixels


def rings(inner: float = 0.5) -> LogPolarGrid:
    """A grid on which scaling by 1.44 is a whole number of steps, about as far out as the images go."""
    step = math.log(ZOOM) / round(math.log(ZOOM) * ANGLES / (2 * math.pi))
    count = int(math.log((SIZE - 1) / 2 / inner) / step)
    return LogPolarGrid(count + 1, ANGLES, inner, inner * math.exp(count * step))


def moved_by(grid: LogPolarGrid, radii: int, angles: int = 0) -> Tensor:
    """The motion that moves log-polar samples by whole steps, (1, 5)."""
    return motion(angles * grid.turn, log_scale=radii * grid.step, dtype=torch.float64)


def network(seed: int, conv: Callable[..., nn.Module] = LogPolarConv) -> nn.Module:
    """Two convolutions with a nonlinearity between them, float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(conv(1, WIDTH, 5), nn.SiLU(), conv(WIDTH, WIDTH, 5)).double()


def flat_conv(channels: int, out: int, kernel: int) -> nn.Conv2d:
    """A convolution with zeros around, also where the angle ought to go on: the control."""
    return nn.Conv2d(channels, out, kernel, padding=kernel // 2)


def by_ring(found: Tensor, expected: Tensor) -> Tensor:
    """Largest error on each ring, relative to the largest value there is, (radii,)."""
    return (found - expected).abs().amax(dim=(0, 1, 3)) / expected.abs().max()


@torch.no_grad()
def commuting(f: nn.Module, grid: LogPolarGrid, g: Tensor, seed: int, reach: int) -> Tensor:
    """f(g x) against g f(x) for a random signal, on the rings that see nothing of the ends, else NaN."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, 1, *grid.shape, generator=generator, dtype=torch.float64)
    error = by_ring(f(grid.act(g, x)), grid.act(g, f(x)))
    inside = nn.functional.max_pool1d(1 - grid.overlap(g)[:, :, 0], 2 * reach + 1, 1, reach)[0] == 0
    ends = torch.ones_like(error)
    ends[reach : grid.radii - reach] = 0
    kept = inside & (ends == 0)
    assert kept.any(), "the window is too small to compare anything"
    return torch.where(kept, error, math.nan)


def scenes(seed: int) -> GaussianScenes:
    return GaussianScenes(4, seed=seed, size=SIZE, width=2.0, dtype=torch.float64)


@torch.no_grad()
def square_error(seed: int) -> float:
    """The same on square pixels: f of a larger image against a larger f of the image, in the middle."""
    f, zoom = network(seed, flat_conv), motion(log_scale=math.log(ZOOM), dtype=torch.float64)
    still, grown = scenes(seed).render(), scenes(seed).render(zoom)
    expected = SquareGrid(SIZE).act(zoom.expand(4, -1), f(still), "fourier")
    middle = disc_mask(SIZE, SIZE / 4).double()
    return (((f(grown) - expected) * middle).norm() / (expected * middle).norm()).item()


@torch.no_grad()
def image_error(grid: LogPolarGrid, g: Tensor, seed: int, keep: Tensor) -> float:
    """Log-polar samples of scaled and turned images against shifted samples, where `keep` is 1."""
    still, grown = (grid.of_square(scenes(seed).render(h), None, "fourier") for h in (None, g))
    wrong = (grid.act(g.expand(4, -1), still) - grown) * keep
    return (wrong.norm() / (grown * keep).norm()).item()


def ring_picture(errors: dict[str, Tensor], grid: LogPolarGrid) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for (name, error), colour in zip(errors.items(), (_BLUE, _ORANGE), strict=False):
            axes.semilogy(
                grid.radius(), error.clamp_min(1e-17), "o-", ms=3, color=colour, label=name
            )
        axes.set_xscale("log")
        axes.set_xlabel("radius of the ring, pixels")
        axes.set_ylabel("largest relative error")
        axes.legend(frameon=False)

    return draw


@claim(
    "19",
    subject=SUBJECT,
    title="Scaling on log-polar samples",
    told="On log-polar samples an object that grows only moves along one axis, so an ordinary convolution "
    "follows it.",
    found="By whole steps it does so to the last digit, before and after two convolutions, on the rings "
    "whose samples were inside the window before. At both ends of that axis the window is cut, and there "
    "the error is as large as anything.",
    condition="on rings that come from inside the window",
)
def scaling_is_a_shift(seed: int) -> Measured:
    grid, f = rings(), network(seed)
    identity = nn.Identity()
    after, before = {}, {}
    for k in (-5, 4, 8):
        g = moved_by(grid, k)
        after[k], before[k] = (
            commuting(f, grid, g, seed, _REACH),
            commuting(identity, grid, g, seed, 0),
        )
    every = commuting(f, grid, moved_by(grid, 4), seed, 0)
    value = max(e.nan_to_num(0).max().item() for e in (*after.values(), *before.values()))
    whole, zoom = every.nan_to_num(0).max().item(), moved_by(grid, 4)
    kept = grid.mask(0.9 * SIZE / 2) * grid.overlap(zoom)
    return Measured(
        value=value,
        bound=EXACT,
        control=square_error(seed),
        holds=whole <= EXACT,
        holds_if=value <= EXACT,
        floor=0.0,
        ceiling=1.0,
        others={
            "where the ends are seen": whole,
            "images, resampled once": image_error(grid, zoom, seed, kept),
            "signal alone": max(e.nan_to_num(0).max().item() for e in before.values()),
        },
        draw=ring_picture({"two convolutions": every, "inside": after[4]}, grid),
    )


@claim(
    "20",
    subject=SUBJECT,
    title="Turning and scaling together",
    told="On log-polar samples a turn is a shift along the other axis, so turns and scalings are handled at "
    "once.",
    found="A turn by whole samples together with a scaling by whole rings is exact, since the angle is a "
    "circle and the convolution treats it as one. Padding the angle with zeros, as images are padded, breaks "
    "that at once.",
    condition="with a circular convolution, on rings that come from inside the window",
)
def turning_and_scaling(seed: int) -> Measured:
    grid = rings()
    g = moved_by(grid, 5, 3)
    ours, flat = (
        commuting(network(seed, conv), grid, g, seed, _REACH) for conv in (LogPolarConv, flat_conv)
    )
    value, control = (e.nan_to_num(0).max().item() for e in (ours, flat))
    whole = commuting(network(seed), grid, g, seed, 0).nan_to_num(0).max().item()
    kept = grid.mask(0.9 * SIZE / 2) * grid.overlap(g)
    return Measured(
        value=value,
        bound=EXACT,
        control=control,
        holds=whole <= EXACT,
        holds_if=value <= EXACT,
        floor=0.0,
        ceiling=1.0,
        others={
            "where the ends are seen": whole,
            "images, resampled once": image_error(grid, g, seed, kept),
        },
        draw=ring_picture({"angle is a circle": ours, "angle padded with zeros": flat}, grid),
    )


def entering(inner: float, seed: int) -> tuple[float, float]:
    """Share of norm, over samples, and of energy, over the plane, that a zoom brings in at the inner end."""
    grid = rings(inner)
    grown = grid.of_square(scenes(seed).render(moved_by(grid, 4)), None, "fourier")
    new = (1 - grid.overlap(moved_by(grid, 4)))[:, None]
    area = grid.radius(dtype=torch.float64).square()[:, None]  # of a sample
    norm = (grown * new).norm() / grown.norm()
    energy = (grown.square() * area * new).sum() / (grown.square() * area).sum()
    return norm.item(), energy.item()


@claim(
    "21b",
    subject=SUBJECT,
    title="The margin of log-polar samples",
    told="Once an image is log-polar, zooming into it only slides it along, and nothing is lost or added.",
    found="Zooming in needs rings that lay inside the innermost one, and nobody sampled them: what enters is "
    "unknown, and it is a large part of the samples where the hole is large. A margin of as many rings as "
    "the zoom has steps sets it right, and a small hole makes what is missing small in the plane, though not "
    "in the number of samples.",
    condition="on rings that no zoom up to this factor touches",
)
def margin(seed: int) -> Measured:
    grid = rings(_INNER[0])
    g = moved_by(grid, 4)
    value = image_error(grid, g, seed, grid.untouched(ZOOM))
    control = image_error(grid, g, seed, torch.ones(grid.shape))
    shares = [entering(inner, seed) for inner in _INNER]
    norm, energy = zip(*shares, strict=True)

    def draw(axes: Axes) -> None:
        axes.loglog(_INNER, norm, "o-", color=_ORANGE, label="norm, over samples")
        axes.loglog(_INNER, energy, "o-", color=_BLUE, label="energy, over the plane")
        axes.set_xlabel("radius of the hole, pixels")
        axes.set_ylabel(f"share that enters at x{ZOOM}")
        axes.legend(frameon=False)

    others = {f"norm entering, hole of {r:g} px": n for r, n in zip(_INNER, norm, strict=True)}
    others |= {f"energy entering, hole of {r:g} px": e for r, e in zip(_INNER, energy, strict=True)}
    return Measured(
        value=value,
        bound=SMALL,
        control=control,
        holds=control <= SMALL,
        holds_if=value <= SMALL,
        floor=0.0,
        ceiling=1.0,
        others=others,
        draw=draw,
    )


@torch.no_grad()
def pooled(f: nn.Module, x: Tensor, centre: Tensor | None) -> Tensor:
    """Invariants of images: mean features of a network on log-polar samples about centres, (B, WIDTH)."""
    return f(rings().of_square(x, centre, "fourier")).mean(dim=(2, 3))


@claim(
    "21c",
    subject=SUBJECT,
    title="Shifts of log-polar images",
    told="A network on log-polar samples is still a convolution, so that it does not mind where the object "
    "is.",
    found="Its answer changes when the object moves by two pixels, since a shift of the image is no shift of "
    "the samples: what was won for scale was paid for with position. Looking from the object's own centre "
    "first gives both.",
    condition="when the object's centre is found first",
)
def shifts_are_lost(seed: int) -> Measured:
    f, find = network(seed), CentreOfMass(SquareGrid(SIZE)).double()
    still = scenes(seed).render()
    shifts = (0.0, 0.5, 1.0, 2.0, 3.0)
    as_it_is, centred = [], []
    base, own = pooled(f, still, None), pooled(f, still, find(still))
    for shift in shifts:
        x = scenes(seed).render(motion(0.0, (0.8 * shift, -0.6 * shift), dtype=torch.float64))
        as_it_is.append(_apart(pooled(f, x, None), base))
        centred.append(_apart(pooled(f, x, find(x)), own))

    def draw(axes: Axes) -> None:
        axes.plot(shifts, as_it_is, "o-", color=_ORANGE, label="about the image's centre")
        axes.plot(shifts, centred, "o-", color=_BLUE, label="about the object's own")
        axes.set_xlabel("shift, pixels")
        axes.set_ylabel("change of the features")
        axes.legend(frameon=False)

    at = shifts.index(2.0)
    return Measured(
        value=centred[at],
        bound=SMALL,
        control=as_it_is[at],
        holds=as_it_is[at] <= SMALL,
        holds_if=centred[at] <= SMALL,
        floor=centred[0],
        ceiling=1.0,
        unit="change over spread between objects",
        others={f"not centred, {s:g} px": e for s, e in zip(shifts, as_it_is, strict=True)},
        draw=draw,
    )


def _apart(a: Tensor, b: Tensor) -> float:
    """How far features moved, relative to how far those of different objects are apart."""
    spread = b - b.mean(dim=0)
    return ((a - b).norm() / spread.norm()).item()
