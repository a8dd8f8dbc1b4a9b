"""Quantities of physics: what a lens makes of them."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.claims.planted import BROKEN, PLANTED, Planted
from eqvae.claims.rows.lens import EXACT
from eqvae.lens import Identified, audit, identify
from eqvae.lens.actions import movement
from eqvae.symmetry import SpaceRotations
from eqvae.symmetry.space import inversion, mirror

PHYSICS = "Physics"
_SO3, _O3 = SpaceRotations(), SpaceRotations(parity=True)
_NAMED = (3, 4, 7, 13, 15)  # planted maps that the control tries to name


def _phase_space(seed: int, n: int = 200) -> Tensor:
    """Rows (q, p)."""
    return torch.randn(n, 6, generator=_generator(seed), dtype=torch.float64)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angular_momentum(x: Tensor) -> Tensor:
    return torch.linalg.cross(x[:, :3], x[:, 3:])


def componentwise(x: Tensor) -> Tensor:
    return x[:, :3] * x[:, 3:]


@claim(
    "33",
    subject=PHYSICS,
    title="Angular momentum turns with the body",
    told="Rotate place and momentum, and the angular momentum rotates along.",
    found=(
        "The cross product of place and momentum is audited as a vector under rotations. The product of "
        "components, which looks as harmless, depends on the axes it is written in."
    ),
)
def turning_momentum(seed: int) -> Measured:
    x = _phase_space(seed)
    good, bad = (
        audit(f, _SO3, "2x1o", "1x1o", x, seed=seed) for f in (angular_momentum, componentwise)
    )
    numbers = {"crossed": good.value, "by components": bad.value, "chance": good.ceiling}
    return Measured(
        good.value,
        bound=EXACT,
        control=bad.value,
        holds=good.holds(EXACT),
        floor=good.floor,
        ceiling=good.ceiling,
        draw=bars(numbers, "error of J(g q, g p)"),
    )


@claim(
    "34",
    subject=PHYSICS,
    title="A mirror tells vectors from pseudovectors",
    told="Under a mirror the angular momentum takes an extra sign, so it is a pseudovector.",
    found=(
        "The momentum of a mirrored motion is compared with the mirrored momentum, as a vector and as a "
        "pseudovector. The sign between the two is fitted for a rotation, a mirror and the inversion: it is "
        "the character that tells 1e from 1o."
    ),
)
def extra_sign(seed: int) -> Measured:
    x = _phase_space(seed)
    mirrors = mirror(torch.randn(len(x), 3, generator=_generator(seed + 1)).double())

    def error(rho_out: str) -> float:
        moved, out = movement(_O3, "2x1o", "rho_in"), movement(_O3, rho_out, "rho_out")
        expected = out.act(mirrors, angular_momentum(x))
        return (
            (angular_momentum(moved.act(mirrors, x)) - expected).norm() / expected.norm()
        ).item()

    elements = {
        "rotation": _SO3.sample(1, generator=_generator(seed)).double(),
        "mirror": mirrors[:1],
        "inversion": inversion(dtype=torch.float64),
    }
    signs = {}
    for name, g in elements.items():
        g = g.expand(len(x), -1)
        after = angular_momentum(movement(_O3, "2x1o", "rho_in").act(g, x))
        as_vector = _O3.act(g, angular_momentum(x))
        signs[name] = ((after * as_vector).sum() / as_vector.square().sum()).item()
    named = identify(angular_momentum, _O3, "2x1o", x, seed=seed, refits=0).name

    return Measured(
        error("1e"),
        bound=EXACT,
        control=error("1o"),
        holds=named == "1e" and error("1e") < EXACT,
        floor=0.0,
        ceiling=2.0,
        others=signs,
        draw=bars(signs, "J(g q, g p) over g J(q, p)", log=False),
    )


@claim(
    "35",
    subject=PHYSICS,
    title="A lens names what a quantity is",
    told="Symmetry takes physical quantities apart: scalars, vectors, their pseudo-twins and tensors.",
    found=(
        "Functions that carry known representations, with noise on every output and partly in an unknown "
        "basis, are named from inputs and outputs alone; five that carry none have to be called so. The "
        "control moves inputs by other elements than it says, after which nothing that turns can be named."
    ),
)
def lens_names(seed: int) -> Measured:
    return named(seed, (*PLANTED, *BROKEN), [PLANTED[k] for k in _NAMED])


def named(
    seed: int, maps: tuple[Planted, ...], tried: list[Planted], n: int = 64, draws: int = 12
) -> Measured:
    """How many maps are named wrongly, and how many where inputs move by elements that are not told."""

    def found(planted: Planted, astray: bool) -> Identified:
        data = planted.data(n, seed)
        moves = movement(planted.group, planted.rho_in, "rho_in").act
        other = planted.group.sample(1, generator=_generator(seed)).double()

        def strayed(g: Tensor, x: Tensor) -> Tensor:
            return moves(planted.group.compose(g, planted.group.compose(g, other.expand_as(g))), x)

        return identify(
            planted.noisy(data, seed + 1),
            planted.group,
            strayed if astray else planted.rho_in,
            data,
            shift=planted.shift,
            draws=draws,
            refits=0,
            seed=seed,
        )

    answers = [found(planted, astray=False) for planted in maps]
    missed = sum(a.name != planted.name for a, planted in zip(answers, maps, strict=True))
    astray = sum(found(planted, astray=True).name != planted.name for planted in tried)

    def draw(axis: Axes) -> None:
        for none, colour, label in ((False, "#2b6cb0", "named"), (True, "#c05621", "none")):
            at = [k for k, planted in enumerate(maps) if (planted.name == "none") is none]
            axis.semilogy(at, [answers[k].defect for k in at], "o", color=colour, label=label)
        axis.semilogy([a.floor for a in answers], "_", color="black", label="noise alone")
        axis.set_xlabel("function")
        axis.set_ylabel("defect")
        axis.legend()

    return Measured(
        float(missed),
        bound=0.5,
        control=float(astray),
        holds=missed == 0,
        floor=0.0,
        ceiling=float(len(maps)),
        unit="maps named wrongly",
        others={"maps": float(len(maps)), "tried by the control": float(len(tried))},
        draw=draw,
    )
