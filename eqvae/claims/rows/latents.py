"""Claims about latents that carry a representation: two small models that saw every object in one pose only.

Scenes are clouds of Gaussian blobs that are drawn anew in any pose, so nothing is interpolated before a model
sees it. One model is harmonic, the other an ordinary network of the same latent; both were trained on scenes
as they stand, and other scenes are shown to them, turned and shifted.
"""

import functools
import math
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.rows.training import trained
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import Domain, HexagonalGrid, LogPolarGrid, SquareGrid
from eqvae.lens import audit
from eqvae.losses import Objective
from eqvae.models import VAE
from eqvae.nn import DiskHarmonics, HarmonicDecoder, HarmonicEncoder, PlainDecoder, PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation, SpaceRotations, motion
from eqvae.testing import GaussianScenes, relative_error

SUBJECT = "Latents"
SIZE, RADIUS = 29, 10.0  # pixels
LATENT = Representation((6, 3, 2))
NAMES = ("harmonic", "ordinary")
TURNS = tuple(range(0, 360, 15))  # degrees
EXACT = 1e-10


@functools.cache
@torch.enable_grad()
def models(seed: int, steps: int = 200) -> tuple[VAE, VAE]:
    """A harmonic and an ordinary VAE, trained on 192 scenes in one pose."""
    torch.manual_seed(seed)
    grid = SquareGrid(SIZE)
    basis = DiskHarmonics(grid, channels=1, degree=14, radius=RADIUS)
    how = {"hidden": 16, "frequency": 4}
    parts = [
        (HarmonicEncoder(basis, LATENT, **how), HarmonicDecoder(basis, LATENT, **how)),
        (PlainEncoder(grid, 1, LATENT, width=8), PlainDecoder(grid, 1, LATENT, width=8)),
    ]
    batch = Batch(scenes(seed, 192).render())
    found = []
    for (encoder, decoder), rate in zip(parts, (2e-2, 3e-3), strict=True):
        model = VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood())
        trained(model, Objective(), batch, steps, rate)
        found.append(model.eval())
    return tuple(found)


def scenes(seed: int, n: int = 48) -> GaussianScenes:
    """Scenes that stay within the image under small shifts."""
    return GaussianScenes(n, seed=seed, size=SIZE, width=1.3)


def per_turn(f: Callable[[Tensor], float]) -> list[float]:
    """A number for every turn."""
    return [f(motion(angle=math.radians(degrees), shift=(1.5, -1.0))) for degrees in TURNS]


def compared(
    seed: int, number: Callable[[VAE], Callable[[Tensor], float]]
) -> dict[str, list[float]]:
    """By model what `number(model)` says of every turn."""
    return {name: per_turn(number(model)) for name, model in zip(NAMES, models(seed), strict=True)}


def means(curves: dict[str, list[float]]) -> tuple[float, ...]:
    """Over the turns, of the harmonic model and of the ordinary one."""
    return tuple(sum(curves[name]) / len(TURNS) for name in NAMES)


def against_turns(
    curves: dict[str, list[float]], ylabel: str, log: bool = True
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for name, curve in curves.items():
            axes.plot(TURNS, curve, marker=".", label=name)
        axes.set(xlabel="turn, degrees", ylabel=ylabel, **({"yscale": "log"} if log else {}))
        axes.legend(frameon=False, fontsize=8)

    return draw


@claim(
    "46",
    subject=SUBJECT,
    title="Pose and content apart",
    told="In a latent that is split by representations, pose can be changed without changing the content.",
    found="The latent of a scene is turned and shifted, decoded, and the image encoded again. The number "
    "is how far the content has come from where it was, in standard deviations of the prior: a score that "
    "only looks could not tell, for it never intervenes.",
    repeats=1,
)
@torch.no_grad()
def intervention(seed: int) -> Measured:
    """Content after the pose was changed through the latent."""
    x, content = scenes(seed + 1).render(), LATENT.slices.content
    chance = []

    def change(model: VAE) -> Callable[[Tensor], float]:
        z = model.encode(Batch(x)).mode
        again = model.encode(Batch(model.decode(z))).mode[:, content]
        chance.append(float((again - again.roll(1, 0)).square().mean().sqrt()))

        def moved(g: Tensor) -> float:
            turned = model.decode(LATENT.act(g.expand(len(z), -1), z))
            found = model.encode(Batch(turned)).mode[:, content]
            return float((found - again).square().mean().sqrt())

        return moved

    curves = compared(seed, change)
    ours, other = means(curves)
    return Measured(
        ours,
        bound=0.1,
        control=other,
        holds=ours < 0.1,
        ceiling=chance[0],
        unit="change of content in standard deviations of the prior",
        others={f"between_scenes_{n}": value for n, value in zip(NAMES, chance, strict=True)},
        draw=against_turns(curves, "change of content"),
    )


@claim(
    "48",
    subject=SUBJECT,
    title="Moving a latent moves the picture",
    told="Acting on the latent draws the same object, turned and shifted.",
    found="Latents of scenes are turned and shifted and then decoded, and held against the decoded image "
    "moved as an image. What is left of the difference is what moving an image costs; a network "
    "without the symmetry draws something else.",
    repeats=1,
)
@torch.no_grad()
def traversal(seed: int) -> Measured:
    """D(g z) against g D(z)."""
    x, grid = scenes(seed + 1).render(), SquareGrid(SIZE)

    def difference(model: VAE) -> Callable[[Tensor], float]:
        z = model.encode(Batch(x)).mode
        still = model.decode(z)

        def drawn(g: Tensor) -> float:
            g = g.expand(len(z), -1)
            return relative_error(model.decode(LATENT.act(g, z)), grid.act(g, still, "fourier"))

        return drawn

    curves = compared(seed, difference)
    ours, other = means(curves)
    harmonic = models(seed)[0]
    still = harmonic.decode(harmonic.encode(Batch(x)).mode)
    g = motion(angle=math.radians(15), shift=(1.5, -1.0)).expand(len(still), -1)
    floor = float(grid.resampling_error(g, still).norm() / still.norm())
    bound = max(0.05, 2 * floor)
    return Measured(
        ours,
        bound=bound,
        control=other,
        holds=ours < bound,
        floor=floor,
        draw=against_turns(curves, "relative error"),
    )


@claim(
    "49",
    subject=SUBJECT,
    title="Trained in one pose, asked in all",
    told="A model that knows the symmetry needs to see an object in one pose only.",
    found="Both models are shown new scenes in poses that none of their training images had. The number "
    "is how much larger the squared error is than in the pose of training; the ordinary network has "
    "learned that pose and nothing of the others.",
    repeats=1,
)
@torch.no_grad()
def one_pose(seed: int) -> Measured:
    """Squared error in every pose over that in the pose of training, less 1."""
    new, upright = scenes(seed + 1), []

    def growth(model: VAE) -> Callable[[Tensor], float]:
        def squared(g: Tensor) -> float:
            batch = Batch(new.render(g))
            return float(model.score(batch, sample=False).squared_error.mean())

        upright.append(squared(motion()))
        return lambda g, still=upright[-1]: squared(g) / still

    curves = compared(seed, growth)
    ours, other = (mean - 1 for mean in means(curves))
    return Measured(
        ours,
        bound=0.1,
        control=other,
        holds=ours < 0.1,
        unit="squared error relative to the pose of training, less 1",
        others={f"squared_error_{n}": value for n, value in zip(NAMES, upright, strict=True)},
        draw=against_turns(curves, "relative squared error"),
    )


@claim(
    "50",
    subject=SUBJECT,
    title="One lens for all of it",
    told="Images, lattices and points in space are all the same thing seen from the group.",
    found="One and the same audit is run, unchanged, on square pixels, on a hexagonal lattice, on "
    "log-polar rings and on points in space, each under motions that its samples carry out exactly. A "
    "function that treats all places alike passes everywhere, one that prefers a direction nowhere.",
)
def one_lens(seed: int) -> Measured:
    """The largest error of a function that commutes, the smallest of one that does not."""
    generator = torch.Generator().manual_seed(seed)
    good, bad = {}, {}
    for name, domain, group in (
        ("square", SquareGrid(17), PlaneMotions.dihedral(4)),
        ("hexagonal", HexagonalGrid(17), PlaneMotions.dihedral(6)),
        ("log-polar", LogPolarGrid(12, 16, 1.0, 8.0), PlaneMotions.cyclic(16)),
    ):
        x = torch.randn(8, 1, *domain.shape, generator=generator, dtype=torch.float64)
        x = x * domain.mask().to(x)
        good[name] = audit(lambda x: x.square() + x, group, domain, domain, x).worst[0]
        slope = places(domain)
        bad[name] = audit(lambda x, s=slope: x * s, group, domain, domain, x).value
    p = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    space = SpaceRotations(parity=True)
    good["space"] = audit(
        lambda x: x * (x @ x.mT).diagonal()[:, None], space, "2x1o", "2x1o", p
    ).worst[0]
    stretch = torch.tensor([3.0, 1.0, 1.0] * 2, dtype=torch.float64)
    bad["space"] = audit(lambda x: x * stretch, space, "2x1o", "2x1o", p).value

    def draw(axes: Axes) -> None:
        at = torch.arange(len(good))
        axes.bar(at - 0.2, [max(v, 1e-17) for v in good.values()], 0.4, label="all places alike")
        axes.bar(at + 0.2, list(bad.values()), 0.4, label="one direction preferred")
        axes.set(yscale="log", ylabel="relative error", ylim=(1e-17, 1e3))
        axes.set_xticks(at, list(good))
        axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)

    return Measured(
        max(good.values()),
        bound=EXACT,
        control=min(bad.values()),
        holds=max(good.values()) < EXACT,
        others={f"control_{name}": value for name, value in bad.items()},
        draw=draw,
    )


def places(domain: Domain) -> Tensor:
    """A gain that grows to the right."""
    return 1 + domain.points(dtype=torch.float64)[..., 0] / 8
