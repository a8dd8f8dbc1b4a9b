"""Claims about latents that carry a representation: of turns and shifts, and of scales as well.

Scenes are sums of Gaussian blobs, drawn anew at every pose, so that no error is one of the test. Networks are
as they are made, without training: what is claimed is a matter of how they are built.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.domains import SquareGrid
from eqvae.nn import (
    CentreOfMass,
    DiskHarmonics,
    HarmonicDecoder,
    HarmonicEncoder,
    PlainDecoder,
    PlainEncoder,
)
from eqvae.nn.views import AdaptiveMoments, View
from eqvae.symmetry import PlaneMotions, Representation, Similarities, motion, without_scale
from eqvae.testing import GaussianScenes

SIZE, SCENES = 96, 6
SMALL = 0.02  # relative: what one bicubic resampling costs
INSIDE = (
    0.6,
    0.8,
    1.0,
    1.25,
    1.6,
)  # scales at which objects are neither cut nor too fine for the pixels
BEYOND = (0.12, 0.2, 0.35, *INSIDE, 2.5, 4.0, 6.0)
ANGLE, SHIFT = 0.7, (1.5, -2.0)  # of the motion that goes with a scale, radians and pixels
MOTIONS = 5
_COVER = 1.7  # how much farther out than usual the basis reaches: blobs have long tails
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9822b", "#888888"
_WIDTH, _STILL = 4.0, 0.8  # pixels, of the thinnest blob; scale at which objects are first seen


class BasisLatent:
    """z = (t, s, a): where the object is, its log-scale, and its coefficients about both, a sum of irreps.

    The latent of a harmonic network without the network: there is nothing to train, and what it loses is the
    detail that the basis can't hold.

    Args:
        harmonics: the basis.
    """

    def __init__(self, harmonics: DiskHarmonics):
        self.harmonics = harmonics
        self.representation = Representation(harmonics.representation.multiplicities, scale=True)
        self.localiser = CentreOfMass(harmonics.domain).double()
        smaller = replace(harmonics, radius=harmonics.radius / _COVER, degree=1)
        self.moments = AdaptiveMoments(smaller).double()

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, D) of images (B, 1, H, H)."""
        view = self.moments(x, View(self.localiser(x)))
        seen = self.harmonics.analyse(x, view.position, view.log_scale)
        return torch.cat([view.coordinates, self.harmonics.by_irrep(seen)], dim=1)

    def decode(self, z: Tensor) -> Tensor:
        """Images of latents."""
        view = View.of(self.representation, z)
        a = self.harmonics.by_channel(z[:, self.representation.slices.vector])
        return self.harmonics.synthesise(a, view.position, view.log_scale)


def scaled_by(scale: float) -> Tensor:
    """The motion that a scale is tried with, (1, 5)."""
    return motion(ANGLE, SHIFT, log_scale=math.log(scale), dtype=torch.float64)


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@torch.no_grad()
def scaled_images(seed: int, scales: Sequence[float]) -> dict[str, list[float]]:
    """By scale: what decode(act(g, z)) differs by from the scene at g, and others for comparison."""
    group = Similarities()
    latent = BasisLatent(DiskHarmonics(SquareGrid(SIZE), degree=16, radius=28.0, scales=(0.6, 1.6)))
    scenes = GaussianScenes(SCENES, seed=seed, size=SIZE, width=_WIDTH, dtype=torch.float64)
    still = motion(log_scale=math.log(_STILL), dtype=torch.float64)
    z = latent.encode(scenes.render(still))
    found = {name: [] for name in ("moved latents", "images themselves", "without a scale")}
    for scale in scales:
        g = scaled_by(scale)
        target = scenes.render(group.compose(g, still))
        many = g.expand(len(z), -1)
        moved = latent.representation.act(many, z)
        flat = latent.representation.act(without_scale(many), z)
        found["moved latents"].append(relative(latent.decode(moved), target))
        found["images themselves"].append(relative(latent.decode(latent.encode(target)), target))
        found["without a scale"].append(relative(latent.decode(flat), target))
    return found


def scale_picture(found: dict[str, list[float]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        axes.axvspan(INSIDE[0], INSIDE[-1], color="#eeeeee")
        for (name, errors), colour in zip(found.items(), (_BLUE, _GREY, _ORANGE), strict=True):
            axes.loglog(BEYOND, errors, "o-", ms=3, color=colour, label=name)
        axes.set_xlabel("scale")
        axes.set_ylabel("relative error of the image")
        axes.legend(frameon=False)

    return draw


@claim(
    "21",
    subject="Scale",
    title="Scale as a coordinate of the latent",
    told="If a latent names position, angle and size, changing these numbers draws the object shifted, "
    "turned and resized.",
    found="A log-scale is one more coordinate, to which motions add theirs, and the images that it draws "
    "are those of the resized scene as exactly as the basis holds any image. Reading it back has a margin: "
    "objects that leave the window, or shrink below what the pixels resolve, are not seen as what they were.",
    condition="while the object lies in the window and is no finer than the pixels",
)
def scale_is_a_coordinate(seed: int) -> Measured:
    found = scaled_images(seed, BEYOND)
    inside = [i for i, scale in enumerate(BEYOND) if scale in INSIDE]
    away = [i for i in inside if BEYOND[i] != 1.0]
    seen, itself = found["moved latents"], found["images themselves"]
    value = max(seen[i] for i in inside)
    return Measured(
        value=value,
        bound=SMALL,
        control=min(found["without a scale"][i] for i in away),
        holds=max(*seen, *itself) <= SMALL,
        holds_if=value <= SMALL,
        floor=max(itself[i] for i in inside),
        ceiling=1.0,
        others={
            "drawn, smallest and largest scale": max(seen[0], seen[-1]),
            "read, smallest scale": itself[0],
            "read, largest scale": itself[-1],
        },
        draw=scale_picture(found),
    )


def networks(latent: Representation, group: PlaneMotions, seed: int) -> tuple[nn.Module, nn.Module]:
    """An untrained harmonic encoder and decoder, float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scales = (0.6, 1.6) if group.has_scales else (1.0, 1.0)
        harmonics = DiskHarmonics(SquareGrid(SIZE), degree=12, radius=10.0, scales=scales)
        encoder = HarmonicEncoder(harmonics, latent, group, hidden=16, frequency=4)
        decoder = HarmonicDecoder(harmonics, latent, group, hidden=16, frequency=4)
    return encoder.double().eval(), decoder.double().eval()


def plain_networks(latent: Representation, seed: int) -> tuple[nn.Module, nn.Module]:
    """The same without symmetry: the control."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = PlainEncoder(SquareGrid(SIZE), 1, latent, width=8)
        decoder = PlainDecoder(SquareGrid(SIZE), 1, latent, width=8)
    return encoder.double().eval(), decoder.double().eval()


@torch.no_grad()
def errors(
    nets: tuple[nn.Module, nn.Module], group: PlaneMotions, seed: int
) -> tuple[float, float]:
    """enc(g x) against rho(g) enc(x) without the position, and dec(rho(g) z) against g dec(z)."""
    encoder, decoder = nets
    latent, grid = encoder.representation, SquareGrid(SIZE)
    scenes = GaussianScenes(SCENES, seed=seed, size=SIZE, width=_WIDTH, dtype=torch.float64)
    still = motion(log_scale=math.log(_STILL), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    g = group.sample(SCENES, shift=2.0, generator=generator).double()
    vector = latent.slices.vector
    first = encoder(scenes.render(still)).loc
    expected = latent.act(g, first)[:, vector]
    found = encoder(scenes.render(Similarities().compose(g, still))).loc[:, vector]
    drawn = decoder(latent.act(g, first))
    if hasattr(decoder, "render"):  # a function of the plane: no pixels to resample
        points = grid.points(dtype=torch.float64).reshape(1, -1, 2).expand(SCENES, -1, -1)
        back = decoder.render(first, group.act(group.inverse(g), points)).view_as(drawn)
    else:
        back = grid.act(g, decoder(first), "fourier")
    return relative(found, expected), relative(drawn, back)


def bars(numbers: dict[str, float]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        colours = [_ORANGE if name.startswith("plain") else _BLUE for name in numbers]
        axes.barh(list(numbers), list(numbers.values()), color=colours, log=True)
        axes.axvline(SMALL, color=_GREY, lw=1, ls="--")
        axes.invert_yaxis()
        axes.set_xlabel("relative error")

    return draw


@claim(
    "47",
    subject="Latents",
    title="Latents that carry a representation",
    told="A latent space can be made to carry a representation of turns and shifts, so that encoder and "
    "decoder both commute with them.",
    found="Networks around a steerable basis do so before any training, at every angle and at shifts by "
    "parts of a pixel, and the same holds with scales. Plain networks of the same latent do not, on either "
    "side.",
)
def latents_carry_a_representation(seed: int) -> Measured:
    flat, sized = Representation((8, 4, 2, 1)), Representation((8, 4, 2, 1), scale=True)
    plane, similar = PlaneMotions.so2(), Similarities()
    encoder, decoder = errors(networks(flat, plane, seed), plane, seed)
    scaled = errors(networks(sized, similar, seed), similar, seed)
    control = errors(plain_networks(flat, seed), plane, seed)
    numbers = {
        "encoder": encoder,
        "decoder": decoder,
        "encoder, with scales": scaled[0],
        "decoder, with scales": scaled[1],
        "plain encoder": control[0],
        "plain decoder": control[1],
    }
    value = max(encoder, decoder)
    return Measured(
        value=value,
        bound=SMALL,
        control=min(control),
        holds=value <= SMALL,
        floor=0.0,
        ceiling=math.sqrt(2),
        others=numbers,
        draw=bars(numbers),
    )
