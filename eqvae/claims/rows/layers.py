"""Claims about single layers: sharing kernels, turning them, pooling, dropping, dilating.

Features are white noise in float64, so that nothing hides behind smoothness, moved by quarter turns and
whole-pixel shifts, which a square grid carries out exactly. Every number is |f(g x) - g f(x)| / |g f(x)|.
"""

import math
from collections.abc import Callable
from itertools import permutations

import torch
import torch.nn.functional as F
from escnn.nn import FieldType
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.nn.steerable.blocks import SteerableConv, function_fields, scalar_fields
from eqvae.symmetry.plane import PlaneMotions
from eqvae.testing import controls, relative_error

SUBJECT = "Layers"
EXACT = 1e-10  # of float64: what is not rounding is above it
SIZE = 33
C4 = PlaneMotions.cyclic(4)


def noise(seed: int, channels: int = 1, size: int = SIZE, images: int = 4) -> Tensor:
    """White noise (images, channels, size, size), float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, size, size, generator=generator, dtype=torch.float64)


def quarter(x: Tensor) -> Tensor:
    """Images turned by 90 degrees."""
    return torch.rot90(x, 1, (-2, -1))


def permuted(h: Tensor) -> Tensor:
    """Fields of C4 turned by 90 degrees: pixels turn, orientation channels move up by one."""
    return quarter(h).unflatten(1, (-1, 4)).roll(1, 2).flatten(1, 2)


def vectors(h: Tensor) -> Tensor:
    """Fields of vectors turned by 90 degrees: pixels turn, and (x, y) -> (-y, x)."""
    x, y = quarter(h).unflatten(1, (-1, 2)).unbind(2)
    return torch.stack([-y, x], 2).flatten(1, 2)


def error(
    layer: Callable[[Tensor], Tensor],
    x: Tensor,
    act_in: Callable[[Tensor], Tensor],
    act_out: Callable[[Tensor], Tensor],
) -> float:
    """|f(g x) - g f(x)| / |g f(x)|."""
    with torch.no_grad():
        return relative_error(layer(act_in(x)), act_out(layer(x)))


def one_draw(layer: nn.Module, seed: int) -> Callable[[Tensor], Tensor]:
    """A random layer with one and the same draw for every input."""

    def f(h: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed + 1000)  # not the numbers that the noise was made of
            return layer(h)

    return f


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """A layer with the weights of a seed, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double()


def exact_kernel(conv: SteerableConv, *, orientations: int) -> Tensor:
    """The kernel of a convolution of images on C4, with escnn's rounding in float32 averaged away.

    The mean over the quarter turns of rho(g) K(g^-1 p) rho(1), which is the kernel itself but for 1e-7.
    """
    kernel = conv.expand_parameters()[0].detach().double()
    turns = [kernel]
    for _ in range(3):
        turned = quarter(turns[-1]).unflatten(0, (-1, orientations))
        turns.append(turned.roll(1, 1).flatten(0, 1))
    return torch.stack(turns).mean(dim=0)


def lifted(seed: int) -> tuple[SteerableConv, Callable[[Tensor], Tensor]]:
    """A convolution that lifts images to fields of C4, as it is and with an exact kernel."""
    conv = seeded(
        seed, lambda: SteerableConv(scalar_fields(C4, 1), function_fields(C4, 8), kernel_size=5)
    )
    kernel = exact_kernel(conv, orientations=4)
    return conv, lambda x: F.conv2d(x, kernel, padding=2)


def irreps(count: int) -> FieldType:
    """Vectors that turn with the object."""
    gspace = PlaneMotions.so2().gspace
    return FieldType(gspace, [gspace.fibergroup.irrep(1)] * count)


@claim(
    "1",
    subject=SUBJECT,
    title="Sharpen, then turn",
    told="A filter such as sharpening commutes with turning the image.",
    found=(
        "An image is sharpened by what a Gaussian has blurred away, and turned by 90 degrees, in both "
        "orders. The results agree to rounding where the Gaussian is round, and not at all where it "
        "is oval."
    ),
    condition="with a filter that depends on the distance alone",
)
def sharpening(seed: int) -> Measured:
    """Unsharp masks, round and oval."""
    blurs = {
        name: controls.AnisotropicBlur(SIZE, 1, 1.5, ratio).double()
        for name, ratio in (("round", 1.0), ("oval", 9.0))
    }
    found = {
        name: error(lambda x, blur=blur: x + 2 * (x - blur(x)), noise(seed), quarter, quarter)
        for name, blur in blurs.items()
    }
    return Measured(
        found["round"],
        bound=EXACT,
        control=found["oval"],
        holds=found["oval"] < EXACT,
        holds_if=found["round"] < EXACT,
        draw=bars(found),
    )


@claim(
    "6",
    subject=SUBJECT,
    title="One kernel for all positions",
    told="A convolution uses the same kernel everywhere, and so it moves with a shifted image.",
    found=(
        "Noise on a torus, where nothing leaves the image, is shifted by whole pixels. The "
        "convolution's output shifts along to rounding; a layer with a kernel for each position gives "
        "something unrelated."
    ),
)
def shared_kernel(seed: int) -> Measured:
    """A circular convolution and unshared kernels, under shifts on the torus."""
    conv = seeded(seed, lambda: nn.Conv2d(1, 8, 5, padding=2, bias=False, padding_mode="circular"))
    local = seeded(seed, lambda: controls.LocallyConnected(1, 8, SIZE, 5, "circular"))

    def shift(x: Tensor) -> Tensor:
        return x.roll((3, -5), (-2, -1))

    found = {
        "one kernel": error(conv, noise(seed), shift, shift),
        "own kernels": error(local, noise(seed), shift, shift),
    }
    return Measured(
        found["one kernel"],
        bound=EXACT,
        control=found["own kernels"],
        holds=found["one kernel"] < EXACT,
        ceiling=math.sqrt(2),
        draw=bars(found),
    )


@claim(
    "7",
    subject=SUBJECT,
    title="A kernel for each position",
    told="A locally connected layer, whose kernels are not shared, isn't equivariant to shifts.",
    found=(
        "An object in the middle of an empty image is moved by whole pixels, so that borders play no "
        "part. Unshared kernels have to learn it anew in every place, at as many times the parameters "
        "as there are pixels."
    ),
)
def unshared_kernels(seed: int) -> Measured:
    """Objects away from the border, and what the layers cost."""
    conv = seeded(seed, lambda: nn.Conv2d(1, 8, 5, padding=2, bias=False))
    local = seeded(seed, lambda: controls.LocallyConnected(1, 8, SIZE, 5))
    x = F.pad(noise(seed, size=11), [11] * 4)

    def shift(x: Tensor) -> Tensor:
        return x.roll((2, -4), (-2, -1))  # what comes round the border is zero

    found = {name: error(f, x, shift, shift) for name, f in (("conv", conv), ("local", local))}
    return Measured(
        found["conv"],
        bound=EXACT,
        control=found["local"],
        holds=found["conv"] < EXACT < found["local"],
        ceiling=math.sqrt(2),
        others={
            "parameters_shared": float(conv.weight.numel()),
            "parameters_unshared": float(local.weight.numel()),
        },
        draw=bars({"one kernel": found["conv"], "own kernels": found["local"]}),
    )


@claim(
    "8",
    subject=SUBJECT,
    title="An ordinary kernel, turned",
    told="An ordinary convolution is equivariant to shifts, but not to turns.",
    found=(
        "A random kernel sees an image and the same image turned by 90 degrees. Its two outputs have "
        "nothing to do with each other; a kernel from the steerable basis gives the same output, "
        "turned."
    ),
)
def ordinary_kernel(seed: int) -> Measured:
    """Steerable and ordinary kernels on images under a quarter turn."""
    image, maps = scalar_fields(C4, 1), scalar_fields(C4, 8)
    steered = exact_kernel(
        seeded(seed, lambda: SteerableConv(image, maps, kernel_size=5)), orientations=1
    )
    plain = seeded(seed, lambda: nn.Conv2d(1, 8, 5, padding=2, bias=False))
    x = noise(seed)
    found = {
        "steerable": error(lambda x: F.conv2d(x, steered, padding=2), x, quarter, quarter),
        "ordinary": error(plain, x, quarter, quarter),
    }
    return Measured(
        found["steerable"],
        bound=EXACT,
        control=found["ordinary"],
        holds=found["steerable"] < EXACT < found["ordinary"],
        ceiling=math.sqrt(2),
        draw=bars(found),
    )


@claim(
    "9",
    subject=SUBJECT,
    title="Channels that move up by one",
    told="Turning the image by 90 degrees permutes the orientation channels of a lifted convolution.",
    found=(
        "A kernel stands in the layer in its four turns, one for each channel. After a quarter turn "
        "of the image each channel holds the turned map of its neighbour, to rounding; with four "
        "unrelated kernels none does."
    ),
)
def orientation_channels(seed: int) -> Measured:
    """Lifting to C4 against independent kernels."""
    conv, exact = lifted(seed)
    free = seeded(seed, lambda: controls.IndependentKernels(1, 2))
    x = noise(seed)
    found = {
        "lifted": error(exact, x, quarter, permuted),
        "lifted, basis in float32": error(conv, x, quarter, permuted),
        "independent": error(free, x, quarter, permuted),
    }
    return Measured(
        found["lifted"],
        bound=EXACT,
        control=found["independent"],
        holds=found["lifted"] < EXACT,
        ceiling=math.sqrt(2),
        others={"as_escnn_rounds": found["lifted, basis in float32"]},
        draw=bars(found),
    )


@claim(
    "10",
    subject=SUBJECT,
    title="Four kernels that know nothing of each other",
    told="With independent kernels in place of a turned one, the relation between the channels is lost.",
    found=(
        "All orders of the channels are tried after a quarter turn of the image, and the best is "
        "kept. For a lifted kernel one of them is exact; for four independent ones the best is as "
        "wrong as a stranger's map."
    ),
)
def no_relabelling(seed: int) -> Measured:
    """The best of all 24 orders of four channels, by group of channels."""
    _, exact = lifted(seed)
    free = seeded(seed, lambda: controls.IndependentKernels(1, 2))
    x = noise(seed)

    def best(layer: Callable[[Tensor], Tensor]) -> float:
        with torch.no_grad():
            expected, moved = quarter(layer(x)), layer(quarter(x))
        functions = zip(expected.split(4, dim=1), moved.split(4, dim=1), strict=True)
        return max(
            min(relative_error(b, a[:, list(order)]) for order in permutations(range(4)))
            for a, b in functions
        )

    found = {"lifted": best(exact), "independent": best(free)}
    return Measured(
        found["lifted"],
        bound=EXACT,
        control=found["independent"],
        holds=found["lifted"] < EXACT and found["independent"] > 0.9,
        ceiling=math.sqrt(2),
        draw=bars(found),
    )
