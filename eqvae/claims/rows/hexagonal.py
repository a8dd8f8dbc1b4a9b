"""Claims about the hexagonal lattice, measured beside the square one with as many points in the same area.

Images are sums of Gabor functions, so that a turned image is computed and not interpolated. Networks are
three group convolutions on regular fields, of C6 with 7 neighbours on hexagonal points and of C4 with 9 on
square ones; their output is the mean over orientations, a scalar field, compared in the middle, where a
turn moves nothing: whatever differs is the network's own, and no border comes in.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.domains.hexagonal import SAME_DENSITY
from eqvae.domains.lattice import on_lattice
from eqvae.nn.hexagonal import GroupConvolution, LiftingConvolution
from eqvae.symmetry.motions import apply, motion

SUBJECT = "Lattices"
BANDS = (0.25, 0.5)  # of the square grid's highest frequency
_SEEN = 7  # points a side of what three layers see
_SIZE = 31  # points a side of images that are interpolated
_DISC = 9.0  # pixels, where those are compared
_NETWORKS = 6  # one alone may be lucky
_STEP = (
    52.5  # degrees between the six turns of one network, which are all different for either lattice
)
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9822b", "#888888"

Sampled = Callable[[Tensor, Tensor], Tensor]  # arrays, places in steps of the array from its middle


@dataclass(frozen=True)
class Gabors:
    """Random sums of waves of one length under Gaussian envelopes, at any points of the plane.

    Attributes:
        centres: (N, M, 2), pixels.
        waves: wave vectors, (N, M, 2), radians per pixel.
        phases: (N, M).
        width: standard deviation of the envelopes, pixels.
    """

    centres: Tensor
    waves: Tensor
    phases: Tensor
    width: float = 2.5

    @classmethod
    def drawn(cls, seed: int, band: float, count: int = 4, waves: int = 6) -> "Gabors":
        """With wave vectors of `band` times pi per pixel."""
        generator = torch.Generator().manual_seed(seed)
        u = torch.rand(3, count, waves, generator=generator, dtype=torch.float64)
        angle, phase, turn = 2 * math.pi * u
        radius = 5 * u[2].sqrt()
        centres = radius[..., None] * torch.stack([turn.cos(), turn.sin()], dim=-1)
        k = math.pi * band * torch.stack([angle.cos(), angle.sin()], dim=-1)
        return cls(centres, k, phase)

    def at(self, points: Tensor, degrees: float = 0.0) -> Tensor:
        """Images (N, 1, H, H) turned by an angle, at points (H, H, 2)."""
        back = motion(angle=-math.radians(degrees), dtype=torch.float64)
        p = apply(back, points.double().reshape(1, -1, 2))[0]
        away = p[None, None] - self.centres[:, :, None]  # (N, M, P, 2)
        envelope = (-away.square().sum(-1) / (2 * self.width**2)).exp()
        wave = (torch.einsum("nmpi,nmi->nmp", away, self.waves) + self.phases[..., None]).cos()
        return (envelope * wave).sum(dim=1).unflatten(-1, points.shape[:2])[:, None]


class ThreeLayers(nn.Module):
    """Lifting and two group convolutions, then the mean over orientations.

    Args:
        domain: which lattice, and so which group.
        seed: of the weights.
        independent: a control: each orientation has a kernel of its own, no turn of the others'.
    """

    def __init__(
        self,
        domain: HexagonalGrid | SquareGrid,
        seed: int,
        independent: bool = False,
        width: int = 8,
    ):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [
                LiftingConvolution(domain, 1, width),
                GroupConvolution(domain, width, width),
                GroupConvolution(domain, width, width),
            ]
            if independent:
                for layer in layers:
                    points = layer.turned.shape[1]
                    layer.turned = torch.stack([torch.randperm(points) for _ in layer.turned])
        self.layers = nn.ModuleList(layers).double()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x).mean(dim=2)


def lattices(size: int = _SEEN) -> dict[str, HexagonalGrid | SquareGrid]:
    """Both lattices, one point for each square pixel."""
    return {
        "hexagonal": HexagonalGrid(size, spacing=SAME_DENSITY),
        "square": SquareGrid(size),
    }


def errors(
    domain: HexagonalGrid | SquareGrid,
    degrees: Sequence[float],
    seed: int,
    band: float,
    independent: bool = False,
) -> list[float]:
    """|f(g x) - f(x)| / |f(x)| of `ThreeLayers` in the middle, over many images, at each angle."""
    network, scenes = ThreeLayers(domain, seed, independent), Gabors.drawn(seed, band, count=64)
    points = domain.points(dtype=torch.float64)
    middle = (..., domain.size // 2, domain.size // 2)
    still = network(scenes.at(points))[middle]
    moved = (network(scenes.at(points, angle))[middle] for angle in degrees)
    return [((m - still).norm() / still.norm()).item() for m in moved]


def around_the_circle(
    domain: HexagonalGrid | SquareGrid, seed: int, band: float, independent: bool = False
) -> dict[float, float]:
    """Error by angle, degrees: each network is turned by every `_STEP`, each from another angle on."""
    found = {}
    for i in range(_NETWORKS):
        first = 7.5 / _NETWORKS * (i + 0.5)
        angles = [(first + _STEP * k) % 360 for k in range(6)]
        values = errors(domain, angles, _NETWORKS * seed + i, band, independent)
        found |= dict(zip(angles, values, strict=True))
    return dict(sorted(found.items()))


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


@claim(
    "30",
    subject=SUBJECT,
    title="Sixths of a turn",
    told="On a hexagonal lattice, weights can be shared among six directions exactly.",
    found=(
        "Three layers of C6 convolutions on hexagonal points commute with turns by 60 degrees to "
        "rounding, and those of C4 on square pixels with turns by 90; each is wrong at the turns "
        "of the other. The lattice decides which turns are free of error, and no lattice of the "
        "plane has both."
    ),
)
def sixths_of_a_turn(seed: int) -> Measured:
    asked, band = [60.0, 30.0, 90.0], 0.5
    found = {name: errors(domain, asked, seed, band) for name, domain in lattices().items()}
    control = errors(lattices()["hexagonal"], [60.0], seed, band, independent=True)[0]
    others = {
        f"{name} at {angle:.0f} degrees": value
        for name, values in found.items()
        for angle, value in zip(asked, values, strict=True)
    }
    exact = max(found["hexagonal"][0], found["square"][2])

    def draw(ax: Axes) -> None:
        for i, (name, colour) in enumerate((("hexagonal", _BLUE), ("square", _ORANGE))):
            places = [k + (i - 0.5) * 0.36 for k in range(3)]
            ax.bar(places, [max(v, 1e-16) for v in found[name]], 0.34, color=colour, label=name)
        ax.axhline(control, color=_GREY, ls=":", label="kernels of their own")
        ax.set_yscale("log")
        ax.set_ylim(1e-17, 10)
        ax.set_xticks(range(3), [f"{angle:.0f}\u00b0" for angle in asked])
        ax.set_ylabel("relative error")
        ax.legend(frameon=False, fontsize=8)

    return Measured(
        value=found["hexagonal"][0],
        bound=1e-10,
        control=control,
        holds=exact < 1e-10 and found["square"][0] > 1e-3,
        others=others,
        draw=draw,
    )


@claim(
    "31",
    subject=SUBJECT,
    title="Turns that no lattice has",
    told="Six directions come closer to all directions than four do.",
    found=(
        "The same networks are turned by angles all around the circle, most of which neither "
        "lattice has. Averaged over them the hexagonal network's error is a fraction of the "
        "square one's, and so is the largest; the finer the image, the less it gains."
    ),
)
def turns_that_no_lattice_has(seed: int) -> Measured:
    found = {
        band: {name: around_the_circle(d, seed, band) for name, d in lattices().items()}
        for band in BANDS
    }
    others, ratios = {}, []
    for band, curves in found.items():
        for name, curve in curves.items():
            others[f"{name}, mean at {band:g} Nyquist"] = mean(curve.values())
            others[f"{name}, largest at {band:g} Nyquist"] = max(curve.values())
        ratios.append(mean(curves["hexagonal"].values()) / mean(curves["square"].values()))
        others[f"ratio of means at {band:g} Nyquist"] = ratios[-1]
    asked = list(found[BANDS[1]]["square"])[::_NETWORKS]
    broken = errors(lattices()["hexagonal"], asked, seed, BANDS[1], independent=True)

    def draw(ax: Axes) -> None:
        for name, colour in (("hexagonal", _BLUE), ("square", _ORANGE)):
            for band, style in zip(BANDS, (".", "x"), strict=True):
                label = f"{name}, {band:g} Nyquist"
                curve = found[band][name]
                ax.plot(list(curve), list(curve.values()), style, color=colour, label=label)
        ax.set_xlabel("turn (degrees)")
        ax.set_ylabel("relative error")
        ax.set_xticks(range(0, 361, 60))
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return Measured(
        value=max(ratios),
        bound=0.65,
        control=mean(broken) / mean(found[BANDS[1]]["square"].values()),
        holds=max(ratios) < 0.65,
        unit="error on hexagonal points / on square ones",
        others=others,
        draw=draw,
    )


@claim(
    "32",
    subject=SUBJECT,
    title="One interpolation",
    told="Turning an image costs less where its pixels are hexagons.",
    found=(
        "Images are turned once by linear interpolation, between the three nearest points of a "
        "hexagonal lattice and the four of a square one, and compared with the same images "
        "computed at that angle. With as many points the hexagons lose a little less, and more "
        "beside three points of a square, but not if four of them are interpolated as if they "
        "were one."
    ),
)
def one_interpolation(seed: int) -> Measured:
    """For long waves the ratio to four points is sqrt(18 / 23) = 0.885, and that to three is 0.816."""
    bands, angles = (0.15, *BANDS, 0.65), [11.0, 23.0, 47.0, 76.0]
    kinds = {
        "hexagonal": ("hexagonal", _three_points),
        "square": ("square", _four_points),
        "square, three points": ("square", _three_points),
        "hexagonal, as squares": ("hexagonal", _four_points),
    }
    curves = {name: [_lost(*kind, seed, b, angles) for b in bands] for name, kind in kinds.items()}
    asked = [bands.index(band) for band in BANDS]

    def ratio(name: str, other: str) -> float:
        return max(curves[name][i] / curves[other][i] for i in asked)

    others = {
        f"{name} at {bands[i]:g} Nyquist": values[i]
        for name, values in curves.items()
        for i in asked
    }
    others["ratio to three points of a square"] = ratio("hexagonal", "square, three points")

    def draw(ax: Axes) -> None:
        colours = (_BLUE, _ORANGE, _ORANGE, _GREY)
        for (name, values), colour in zip(curves.items(), colours, strict=True):
            style = "o--" if "three" in name else "o-"
            ax.plot(bands, values, style, color=colour, ms=3, label=name)
        ax.set_xlabel("frequency / Nyquist of the square grid")
        ax.set_ylabel("relative error")
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False, fontsize=8)

    return Measured(
        value=ratio("hexagonal", "square"),
        bound=0.95,
        control=ratio("hexagonal, as squares", "square"),
        holds=ratio("hexagonal", "square") < 0.95,
        unit="error on hexagonal points / on square ones",
        others=others,
        draw=draw,
    )


def _lost(lattice: str, sampled: Sampled, seed: int, band: float, angles: list[float]) -> float:
    """Mean relative error of one interpolated turn."""
    domain, scenes = lattices(_SIZE)[lattice], Gabors.drawn(seed, band, count=8)
    points = domain.points(dtype=torch.float64)
    disc, still, found = domain.mask(_DISC).double(), scenes.at(points), []
    for angle in angles:
        back = motion(angle=-math.radians(angle), dtype=torch.float64)
        places = apply(back, points.reshape(1, -1, 2)).view_as(points)
        expected = scenes.at(points, angle) * disc
        moved = sampled(still, in_steps(domain, places)) * disc
        found.append(((moved - expected).norm() / expected.norm()).item())
    return mean(found)


def in_steps(domain: HexagonalGrid | SquareGrid, places: Tensor) -> Tensor:
    """Positions (..., 2) in steps of the array from its middle, the second upwards."""
    return on_lattice(places, domain.spacing) if isinstance(domain, HexagonalGrid) else places


def _three_points(x: Tensor, places: Tensor) -> Tensor:
    """Linear on the triangles that the diagonals from (0, 0) to (1, 1) make."""
    size = x.shape[-1]
    u, v = (places[..., 0] + (size - 1) / 2), (places[..., 1] + (size - 1) / 2)
    u0, v0 = u.floor(), v.floor()
    a, b = u - u0, v - v0
    parts = (
        (0, 0, 1 - torch.maximum(a, b)),
        (1, 1, torch.minimum(a, b)),
        (1, 0, (a - b).clamp_min(0)),
        (0, 1, (b - a).clamp_min(0)),
    )
    moved = torch.zeros_like(x)
    for right, up, weight in parts:
        column = (u0 + right).long().clamp(0, size - 1)
        row = (size - 1 - v0 - up).long().clamp(0, size - 1)
        moved = moved + weight * x[..., row, column]
    return moved


def _four_points(x: Tensor, places: Tensor) -> Tensor:
    grid = places * places.new_tensor([2 / (x.shape[-1] - 1), -2 / (x.shape[-1] - 1)])
    grid = grid.expand(len(x), -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
