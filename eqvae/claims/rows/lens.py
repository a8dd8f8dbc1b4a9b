"""What a symmetry is, and how a function shows which one it has."""

import math

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.lens import (
    audit,
    equivariant_basis,
    num_equivariant_maps,
    recover_equivariant_map,
)
from eqvae.symmetry import PlaneMotions, Representation, SpaceRotations

EXACT = 1e-10
_SO3, _O3 = SpaceRotations(), SpaceRotations(parity=True)
PRINCIPLES, COUNTING = "Principles", "Counting and recovering maps"


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@claim(
    "2",
    subject=PRINCIPLES,
    title="What equivariance means",
    told="A function is equivariant when moving its input first or its output afterwards is the same.",
    found=(
        "Both orders are computed for rotations of point clouds, by the black-box audit. It has to pass a "
        "function that obeys, and to flag one that clips the components of its vectors, or it proves nothing."
    ),
)
def both_orders(seed: int) -> Measured:
    x = _normal(seed, 100, 8, 3)

    def attraction(x: Tensor) -> Tensor:
        offset = x[:, None] - x[:, :, None]
        return (offset / (1 + offset.square().sum(-1, keepdim=True)) ** 1.5).sum(2)

    def clipped(x: Tensor) -> Tensor:
        return attraction(x).relu()

    good, bad = (audit(f, _O3, "points", "points", x, seed=seed) for f in (attraction, clipped))
    numbers = {"attraction": good.value, "clipped": bad.value, "chance": good.ceiling}
    return Measured(
        good.value,
        bound=EXACT,
        control=bad.value,
        holds=good.holds(EXACT) and not bad.holds(EXACT),
        floor=good.floor,
        ceiling=good.ceiling,
        others={"worst element": good.worst[0]},
        draw=bars(numbers, "error of f(g x)"),
    )


@claim(
    "3",
    subject=PRINCIPLES,
    title="What invariance means",
    told="An invariant quantity is blind to the transformation.",
    found=(
        "The content of a latent is audited against the action that leaves everything as it is, and so is "
        "its frame. Content stays and the frame does not: to be invariant is to be equivariant, with an "
        "action that does nothing."
    ),
)
def blind_content(seed: int) -> Measured:
    group, latent = PlaneMotions.o2(), Representation.parse("3x0 + 2x1")
    x = _normal(seed, 100, 8, 2)

    def encode(x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        size = centred.norm(dim=2).sort().values
        frames = torch.einsum(
            "nkp,npi->nki", torch.stack([size, size.square()], 1).softmax(2), centred
        )
        return torch.cat([size[..., ::3], frames.flatten(1)], dim=1)

    content, frame = latent.slices.content, latent.slices.frame
    known = {"shift": 2.0, "seed": seed}
    still = audit(lambda x: encode(x)[:, content], group, "points", "trivial", x, **known)
    moving = audit(lambda x: encode(x)[:, frame], group, "points", "trivial", x, **known)
    numbers = {"content": still.value, "frame": moving.value, "chance": still.ceiling}
    return Measured(
        still.value,
        bound=EXACT,
        control=moving.value,
        holds=still.holds(EXACT),
        floor=still.floor,
        ceiling=still.ceiling,
        draw=bars(numbers, "change under motions"),
    )


@claim(
    "22",
    subject=COUNTING,
    title="A symmetry leaves few maps over",
    told="Asking for a symmetry shrinks the set of functions that a layer can be.",
    found=(
        "Schur's lemma counts the linear maps between two sums of irreps, and the null space of the "
        "constraints is found without it. The two have to agree, for groups of the plane and of space."
    ),
)
def few_maps(seed: int) -> Measured:
    cases = [
        ("2x0e + 2x1o + 1x2e", "2x0e + 2x1o + 1x2e", _O3),
        ("1x0e + 2x1o + 1x1e", "3x1o + 1x2o", _SO3),
        ("2x0 + 2x1 + 1x2", "1x0 + 3x1 + 1x2", PlaneMotions.so2()),
        ("2x0 + 1xsign + 2x1", "1x0 + 2xsign + 2x1", PlaneMotions.o2()),
        ("regular", "2x0 + 2x1", PlaneMotions.dihedral(4)),
    ]
    counts = [(num_equivariant_maps(*c), len(equivariant_basis(*c))) for c in cases]
    first = equivariant_basis(*cases[0])
    return Measured(
        float(max(abs(schur - null) for schur, null in counts)),
        bound=0.5,
        control=float(first[0].numel() - counts[0][0]),
        holds=all(schur == null for schur, null in counts),
        floor=0.0,
        ceiling=float(first[0].numel()),
        unit="maps too many or too few",
        others={"maps": float(counts[0][0]), "of": float(first[0].numel())},
        draw=bars(
            {"all": first[0].numel(), "Schur": counts[0][0], "null space": counts[0][1]},
            "linear maps",
            log=False,
        ),
    )


@claim(
    "26",
    subject=COUNTING,
    title="One example teaches a whole family",
    told="With a symmetry, what happens to one element tells what happens to all its relatives.",
    found=(
        "A linear map that commutes with 64 cyclic shifts is recovered from one input and its output, as the "
        "group turns one pair into 64. Without the group the same pair fixes one dimension in 64."
    ),
)
def one_pair(seed: int) -> Measured:
    group, size = PlaneMotions.cyclic(64), 64
    kernel, u = _normal(seed, size), _normal(seed + 1, size)
    truth = torch.stack([kernel.roll(k) for k in range(size)], dim=1)
    found = recover_equivariant_map(u, truth @ u, group, "regular", "regular")
    alone = torch.outer(truth @ u, u) / u.square().sum()  # the smallest map with this pair

    def error(matrix: Tensor) -> float:
        return ((matrix - truth).norm() / truth.norm()).item()

    pairs = [1, 16, 32, 48, 64]
    inputs = _normal(seed + 2, size, size)
    dense = [error((truth @ inputs[:, :n]) @ torch.linalg.pinv(inputs[:, :n])) for n in pairs]

    def draw(axis: Axes) -> None:
        axis.semilogy(pairs, dense, "o-", color="#c05621", label="without the group")
        axis.semilogy([1], [error(found.matrix)], "s", color="#2b6cb0", label="with it")
        axis.set_xlabel("pairs")
        axis.set_ylabel("error of the map")
        axis.legend()

    return Measured(
        error(found.matrix),
        bound=EXACT,
        control=error(alone),
        holds=found.is_unique and error(found.matrix) < EXACT,
        floor=0.0,
        ceiling=1.0,
        others={"rank": float(found.rank), "pairs without the group": float(size)},
        draw=draw,
    )


@claim(
    "29",
    subject=PRINCIPLES,
    title="Components move against their frame",
    told="When the frame turns, the components of a vector transform by the inverse.",
    found=(
        "Components in random frames are compared after a change of frame with those that the inverse gives, "
        "and with those that the change itself would. A latent's content is the same thing: coordinates "
        "seen from the object's own pose, which no motion changes."
    ),
)
def components(seed: int) -> Measured:
    frames = _normal(seed, 100, 3, 3)
    change = torch.linalg.matrix_exp(0.5 * _normal(seed + 1, 100, 3, 3))
    v = _normal(seed + 2, 100, 3, 1)
    before = torch.linalg.solve(frames, v)
    after = torch.linalg.solve(frames @ change, v)
    guesses = torch.linalg.solve(change, before), change @ before
    errors = [((after - guess).norm() / after.norm()).item() for guess in guesses]
    latent, group = Representation.parse("position + 4x0 + 2x1 + 1x2"), PlaneMotions.o2()
    pose, g = (
        group.sample(100, shift=4.0, generator=_generator(seed + k)).double() for k in (0, 1)
    )
    z = _normal(seed + 3, 100, latent.dim)
    own = latent.act(group.inverse(pose), z)
    again = latent.act(group.inverse(group.compose(g, pose)), latent.act(g, z))
    content = ((own - again).norm() / own.norm()).item()
    numbers = {
        "inverse": errors[0],
        "latent": content,
        "change itself": errors[1],
    }
    return Measured(
        max(errors[0], content),
        bound=EXACT,
        control=errors[1],
        holds=max(errors[0], content) < EXACT,
        floor=0.0,
        ceiling=math.sqrt(2),
        others={"content of a latent": content},
        draw=bars(numbers, "relative error"),
    )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
