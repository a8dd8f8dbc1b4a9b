"""A claim about parameters: saving them is one thing, a law another. Three small networks learn one task."""

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.nn.fields import GaussianDownsample, MaxOverOrientations
from eqvae.nn.steerable.blocks import block, function_fields, scalar_fields
from eqvae.symmetry.motions import motion
from eqvae.symmetry.plane import PlaneMotions
from eqvae.testing import GaussianScenes, relative_error

KINDS, SIZE, IMAGES, STEPS = 6, 41, 24, 100  # kinds of object, pixels, of each kind, training steps
NOISE, SMOOTH = 0.05, 2.2  # of the images, whose peak is 1


class Largest(nn.Module):
    """The largest value over all positions."""

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, H, H) to (B, C)."""
        return h.amax(dim=(2, 3))


def hard() -> nn.Module:
    """Steerable convolutions on C8, pooled over orientations and positions."""
    symmetry = PlaneMotions.cyclic(8)
    image, fields = scalar_fields(symmetry, 1), function_fields(symmetry, 48)
    down = GaussianDownsample(image, SIZE, sigma=SMOOTH)
    return nn.Sequential(
        down,
        block(symmetry, image, fields, 7),
        block(symmetry, fields, fields, 7),
        MaxOverOrientations(fields, down.out_size),
        Largest(),
        nn.Linear(6, KINDS),
    )


def plain(width: int) -> nn.Module:
    """Ordinary convolutions."""
    down = GaussianDownsample(scalar_fields(PlaneMotions.trivial(), 1), SIZE, sigma=SMOOTH)
    return nn.Sequential(
        *(down, nn.Conv2d(1, width, 5, padding=2), nn.GroupNorm(1, width), nn.SiLU()),
        *(nn.Conv2d(width, width, 5, padding=2), nn.GroupNorm(1, width), nn.SiLU()),
        *(Largest(), nn.Linear(width, KINDS)),
    )


def depthwise(width: int) -> nn.Module:
    """A kernel for each channel by itself, and then a mixture of channels: few parameters for its width."""
    down = GaussianDownsample(scalar_fields(PlaneMotions.trivial(), 1), SIZE, sigma=SMOOTH)
    return nn.Sequential(
        *(down, nn.Conv2d(1, width, 5, padding=2), nn.GroupNorm(1, width), nn.SiLU()),
        nn.Conv2d(width, width, 5, padding=2, groups=width),
        *(nn.Conv2d(width, width, 1), nn.GroupNorm(1, width), nn.SiLU()),
        *(Largest(), nn.Linear(width, KINDS)),
    )


def weights(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in network.parameters())


def matched(build, count: int) -> nn.Module:
    """The network of the width whose number of parameters is the closest."""
    return min((build(n) for n in range(4, 64)), key=lambda net: abs(weights(net) - count))


def objects() -> GaussianScenes:
    """One of each kind."""
    return GaussianScenes(KINDS, seed=1, size=SIZE, blobs=4, width=1.0)


def posed(angle: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of every kind, turned by angles (n,) and shifted a little, and their kinds."""
    scenes = objects()
    generator = torch.Generator().manual_seed(seed)
    images = []
    for a in angle:
        shift = 2 * torch.rand(KINDS, 2, generator=generator) - 1
        images.append(scenes.render(motion(angle=a.expand(KINDS), shift=shift)))
    x = torch.cat(images)
    x = x + NOISE * torch.randn(x.shape, generator=generator)
    return x, torch.arange(KINDS).repeat(len(angle))


def trained(network: nn.Module, x: Tensor, kinds: Tensor) -> nn.Module:
    """The network after some steps on upright images."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for step in range(STEPS):
        rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(step))[:16]
        optimizer.zero_grad()
        F.cross_entropy(network(x[rows]), kinds[rows]).backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def judged(network: nn.Module, seed: int) -> dict[str, float]:
    """Accuracy on new images, upright and turned, and how far turns move the scores of clean ones."""
    generator = torch.Generator().manual_seed(seed)
    angles = 2 * torch.pi * torch.rand(8, generator=generator)
    found = {"weights": float(weights(network))}
    for name, turns in (("upright", torch.zeros(8)), ("turned", angles)):
        x, kinds = posed(turns, seed + 1)
        found[name] = (network(x).argmax(dim=1) == kinds).double().mean().item()
    still = network(objects().render())
    spread = still - still.mean(dim=0)  # what tells the kinds apart
    for name, turns in (("quarter", torch.arange(1, 4) * torch.pi / 2), ("any", angles)):
        moved = [network(objects().render(motion(angle=a))) for a in turns]
        errors = [relative_error(y - still + spread, spread) for y in moved]
        found[f"error_{name}"] = sum(errors) / len(errors)
    return found


def compared(seed: int) -> dict[str, dict[str, float]]:
    """What `judged` says of each network after it has learnt from upright images."""
    x, kinds = posed(torch.zeros(IMAGES), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = {"hard": hard()}
        for name, build in (("plain", plain), ("depthwise", depthwise)):
            networks[name] = matched(build, weights(networks["hard"]))
        return {name: judged(trained(net, x, kinds), seed) for name, net in networks.items()}


@claim(
    "27",
    subject="Layers",
    title="Few parameters are no law",
    told="Layers that save parameters, such as depthwise convolutions, promise no equivariance.",
    found=(
        "Three networks of about one number of parameters learn kinds of object from upright images "
        "alone. All learn the task, but only the steerable one has the same opinion of an object that "
        "is turned: to rounding at quarter turns, and up to its grid elsewhere."
    ),
)
def parameters_are_no_law(seed: int) -> Measured:
    """Hard, plain and depthwise networks of one size, trained upright, judged upright and turned."""
    found = compared(seed)
    ours, deep = found["hard"], found["depthwise"]

    def draw(axes: Axes) -> None:
        for side, what, colour in ((-0.2, "upright", "#bbbbbb"), (0.2, "turned", "#4477aa")):
            heights = [values[what] for values in found.values()]
            axes.bar([i + side for i in range(len(found))], heights, 0.4, color=colour, label=what)
        axes.axhline(1 / KINDS, color="black", linestyle=":", label="chance")
        axes.set(xticks=range(len(found)), xticklabels=list(found), ylabel="right", ylim=(0, 1))
        axes.legend(fontsize="small")

    learnt = min(ours["upright"], deep["upright"]) > 0.8
    return Measured(
        ours["error_quarter"],
        bound=1e-3,  # of scores in float32
        control=deep["error_quarter"],
        holds=ours["error_quarter"] < 1e-3 and learnt and ours["turned"] > deep["turned"] + 0.1,
        others={
            f"{name}_{what}": value
            for name, values in found.items()
            for what, value in values.items()
        },
        draw=draw,
    )
