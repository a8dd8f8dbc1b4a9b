"""A claim about parameters: saving them is one thing, a law another. Three small networks learn one task."""

from collections.abc import Sequence

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

KINDS, SIZE, IMAGES, STEPS = 6, 41, 24, 80  # kinds of object, pixels, of each kind, training steps
NOISE, SMOOTH = 0.05, 2.5  # of the images, whose peak is 1


class Largest(nn.Module):
    """The largest value over all positions."""

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, H, H) to (B, C)."""
        return h.amax(dim=(2, 3))


def hard() -> nn.Module:
    """Steerable convolutions on C8, pooled over orientations and positions."""
    symmetry = PlaneMotions.cyclic(8)
    image, fields = scalar_fields(symmetry, 1), function_fields(symmetry, 32)
    down = GaussianDownsample(image, SIZE, sigma=SMOOTH)
    return nn.Sequential(
        down,
        block(symmetry, image, fields, 7),
        block(symmetry, fields, fields, 7),
        MaxOverOrientations(fields, down.out_size),
        Largest(),
        nn.Linear(4, KINDS),
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
def judged(network: nn.Module, seed: int) -> tuple[float, float, float]:
    """Accuracy on new upright images and on turned ones, and how far turning a scene moves the scores."""
    generator = torch.Generator().manual_seed(seed)
    angles = 2 * torch.pi * torch.rand(8, generator=generator)
    shares = []
    for angle in (torch.zeros(8), angles):
        x, kinds = posed(angle, seed + 1)
        shares.append((network(x).argmax(dim=1) == kinds).double().mean().item())
    scenes = objects()
    still = network(scenes.render())
    moved = [network(scenes.render(motion(angle=a))) for a in angles]
    spread = still - still.mean(dim=0)  # what tells the kinds apart
    errors = [relative_error(y - still + spread, spread) for y in moved]
    return *shares, sum(errors) / len(errors)


def compared(seed: int, names: Sequence[str] = ("hard", "plain", "depthwise")) -> dict[str, tuple]:
    """(accuracy upright, accuracy turned, error, parameters) of each network."""
    x, kinds = posed(torch.zeros(IMAGES), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = {"hard": hard()}
        for name, build in (("plain", plain), ("depthwise", depthwise)):
            networks[name] = matched(build, weights(networks["hard"]))
        return {
            name: (*judged(trained(networks[name], x, kinds), seed), weights(networks[name]))
            for name in names
        }


@claim(
    "27",
    subject="Layers",
    title="Few parameters are no law",
    told="Layers that save parameters, such as depthwise convolutions, promise no equivariance.",
    found=(
        "Three networks of one number of parameters learn kinds of object from upright images alone. "
        "All of them learn the task, but only the steerable one has the same opinion of an object "
        "that is turned."
    ),
)
def parameters_are_no_law(seed: int) -> Measured:
    """Hard, plain and depthwise networks of one size, trained upright, judged upright and turned."""
    found = compared(seed)
    (upright, turned, error, _), deep = found["hard"], found["depthwise"]

    def draw(axes: Axes) -> None:
        for place, name in enumerate(found):
            axes.bar([place - 0.2], [found[name][0]], 0.4, color="#bbbbbb", label="upright")
            axes.bar([place + 0.2], [found[name][1]], 0.4, color="#4477aa", label="turned")
        axes.set(xticks=range(len(found)), xticklabels=list(found), ylabel="right", ylim=(0, 1))
        axes.legend(["upright", "turned"], fontsize="small")

    bound = 0.25
    return Measured(
        error,
        bound=bound,
        control=deep[2],
        holds=error < bound < deep[2] and turned - deep[1] > 0.1 and min(upright, deep[0]) > 0.8,
        ceiling=1.0,
        others={
            f"{what}_{name}": float(value)
            for name, values in found.items()
            for what, value in zip(("upright", "turned", "error", "weights"), values, strict=True)
        },
        draw=draw,
    )
