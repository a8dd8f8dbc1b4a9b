"""Irreps of space: spherical harmonics, how they couple, and parity."""

import math

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.claims.rows.lens import EXACT
from eqvae.lens import equivariant_basis, multiplicities
from eqvae.symmetry import SpaceRepresentation, SpaceRotations, TensorRepresentation
from eqvae.symmetry.affine import linear_matrices
from eqvae.symmetry.space import inversion, mirror, rotation_part
from eqvae.symmetry.wigner import solid_harmonics, wigner

_O3 = SpaceRotations(parity=True)
_HIGHEST = 11
SPACE = "Irreps of space"


def _elements(seed: int, n: int) -> Tensor:
    return _O3.sample(n, generator=torch.Generator().manual_seed(seed)).double()


def _points(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed)).double()


def _relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


@claim(
    "36",
    subject=SPACE,
    title="Spherical harmonics are the irreps of rotations",
    told="Spherical harmonics of one degree turn among themselves, each degree on its own.",
    found=(
        "Harmonics at rotated points are compared with rotated harmonics, for every degree up to eleven and "
        "at points that the rotation matrices were not made from. Under the inversion their sign is the "
        "parity of the degree."
    ),
)
def harmonics(seed: int) -> Measured:
    rotations, points = rotation_part(_elements(seed, 20)), _points(seed, 20, 30)
    moved = torch.einsum("bij,bnj->bni", rotations, points)
    right, wrong, parity = [], [], []
    for degree in range(_HIGHEST + 1):
        d, still, after = (
            wigner(degree, rotations),
            solid_harmonics(degree, points),
            solid_harmonics(degree, moved),
        )
        right.append(_relative(torch.einsum("bij,bnj->bni", d, still), after))
        wrong.append(_relative(torch.einsum("bji,bnj->bni", d, still), after))
        opposite = solid_harmonics(degree, -points)
        parity.append(_relative((-1) ** degree * still, opposite))

    def draw(axis: Axes) -> None:
        axis.semilogy(range(_HIGHEST + 1), right, "o-", color="#2b6cb0", label="D Y(p)")
        axis.semilogy(
            range(1, _HIGHEST + 1), wrong[1:], "s-", color="#c05621", label="rotated backwards"
        )
        axis.set_xlabel("degree")
        axis.set_ylabel("error of Y(R p)")
        axis.legend()

    return Measured(
        max(right),
        bound=EXACT,
        control=max(wrong),
        holds=max(right + parity) < EXACT,
        floor=0.0,
        ceiling=math.sqrt(2),
        others={"parity": max(parity)},
        draw=draw,
    )


@claim(
    "37",
    subject=SPACE,
    title="Two vectors couple to a scalar, a pseudovector and a tensor",
    told="Clebsch-Gordan coefficients say how products of irreps fall apart into irreps.",
    found=(
        "Characters say which irreps the product of two vectors holds, and a null space gives the coupling "
        "of each without any table. The couplings have to commute with elements that they were not made "
        "from; coefficients at random do not."
    ),
)
def couplings(seed: int) -> Measured:
    vector = SpaceRepresentation.parse("1o")
    product = TensorRepresentation(vector, vector)
    found = multiplicities(product, _O3)
    g = _elements(seed, 50)
    errors, chance = {}, []
    for name in found:
        irrep = SpaceRepresentation.parse(name)
        (coupling,) = equivariant_basis(product, irrep, _O3)
        before, after = linear_matrices(product, g), linear_matrices(irrep, g)
        errors[name] = _relative(coupling @ before, after @ coupling)
        random = torch.randn(coupling.shape, generator=torch.Generator().manual_seed(seed)).double()
        chance.append(_relative(random @ before, after @ random))
    return Measured(
        max(errors.values()),
        bound=EXACT,
        control=min(chance),
        holds=found == {"0e": 1, "1e": 1, "2e": 1} and max(errors.values()) < EXACT,
        floor=0.0,
        ceiling=max(chance),
        others={f"error of {name}": value for name, value in errors.items()},
        draw=bars(errors | {"random": min(chance)}, "error of the coupling"),
    )


@claim(
    "38",
    subject=SPACE,
    title="Parity has to be carried along",
    told="Networks of space must track the parity of their features to know a mirror image.",
    found=(
        "Products of irreps with every pair of parities are moved by rotations, mirrors and the inversion, "
        "and parities multiply; one that is left untracked fails under mirrors. For chiral clouds of three "
        "points and their mirror images the one scalar of odd parity tells the two apart, scalars of even "
        "parity do no better than guessing."
    ),
)
def parity(seed: int) -> Measured:
    g = torch.cat([_elements(seed, 40), mirror(_points(seed, 10)), inversion(dtype=torch.float64)])
    kinds, tracked, untracked = {"e": 1, "o": -1}, [], []
    for first in kinds:
        for second in kinds:
            a, b = (SpaceRepresentation.parse(f"1{kind}") for kind in (first, second))
            sign = "e" if kinds[first] * kinds[second] == 1 else "o"
            other = "o" if sign == "e" else "e"
            product = TensorRepresentation(a, b)
            for degree in range(3):
                right, wrong = (SpaceRepresentation.parse(f"{degree}{p}") for p in (sign, other))
                (coupling,) = equivariant_basis(product, right, _O3)
                moved = coupling @ linear_matrices(product, g)
                tracked.append(_relative(moved, linear_matrices(right, g) @ coupling))
                untracked.append(_relative(moved, linear_matrices(wrong, g) @ coupling))
    odd, even = handedness(seed)
    numbers = {"odd scalar": odd, "even scalars": even, "guessing": 0.5}
    return Measured(
        max(tracked),
        bound=EXACT,
        control=min(untracked),
        holds=max(tracked) < EXACT and odd > 0.95 and even < 0.6,
        floor=0.0,
        ceiling=2.0,
        others={"accuracy of 0o": odd, "accuracy of 0e": even},
        draw=bars(numbers, "mirror images told apart", log=False),
    )


def handedness(seed: int, n: int = 1000) -> tuple[float, float]:
    """Share of held-out clouds whose chirality a linear read-out of 0o, and of 0e, tells."""
    rigid = torch.tensor([[1.0, 0, 0], [0, 1.5, 0], [0, 0, 2.0]]).double()
    label = torch.ones(n, dtype=torch.float64)
    label[::2] = -1
    clouds = rigid + 0.2 * _points(seed + 5, n, 3)
    clouds = torch.where(label[:, None, None] > 0, clouds, -clouds)
    clouds = SpaceRotations().act(_elements(seed + 6, n) * torch.tensor([0.0, 1, 1, 1, 1]), clouds)
    odd = torch.linalg.det(clouds)[:, None]
    even = (clouds @ clouds.mT).flatten(1)
    return tuple(_held_out(features, label) for features in (odd, even))


def _held_out(features: Tensor, label: Tensor) -> float:
    features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    half = len(label) // 2
    weights = torch.linalg.lstsq(features[:half], label[:half, None], driver="gelsd").solution
    return ((features[half:] @ weights)[:, 0].sign() == label[half:]).double().mean().item()
