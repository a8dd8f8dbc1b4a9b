"""The groups of space, products of irreps with e3nn, and a network whose features are turned afterwards."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.claims.rows.lens import EXACT
from eqvae.claims.rows.lens_space import SPACE
from eqvae.symmetry import (
    SpaceMotions,
    SpaceRepresentation,
    SpaceRotations,
)
from eqvae.symmetry.space import inversion, mirror
from eqvae.symmetry.space_motions import affine_matrix
from eqvae.symmetry.wigner import solid_harmonics

_E3, _O3, _SO3 = SpaceMotions(parity=True), SpaceRotations(parity=True), SpaceRotations()
_FEATURES = "2x0e + 1x0o + 2x1o + 1x1e + 1x2e"
_LATENT = "4x0e + 2x0o + 2x1o + 2x2e + 1x3o"
_HIDDEN = "8x0e + 4x1o + 2x1e + 4x2e + 2x3o"


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


@contextmanager
def _in_float64(seed: int) -> Iterator[None]:
    """e3nn makes its constants in the default dtype, and its weights from the default generator."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_default_dtype(before)


@claim(
    "36/motions",
    subject=SPACE,
    title="Motions of space compose, and the order matters",
    told="Turns, mirrors and shifts of space make up one group, the Euclidean group.",
    found=(
        "Products, inverses and exponentials of random motions, kept as quaternions and shifts, are compared "
        "with the same of four by four matrices, which know nothing of them. Taking the two factors of a "
        "product in the other order gives another motion."
    ),
)
def motions(seed: int) -> Measured:
    g, h = _E3.sample(200, shift=5.0, generator=_generator(seed)).double().chunk(2)
    a, b = affine_matrix(g), affine_matrix(h)
    product = affine_matrix(_E3.compose(g, h))
    u = torch.randn(100, 6, generator=_generator(seed + 1), dtype=torch.float64)
    algebra = torch.zeros(100, 4, 4, dtype=torch.float64)
    for k, (i, j) in enumerate([(2, 1), (0, 2), (1, 0)]):
        algebra[:, i, j], algebra[:, j, i] = u[:, k], -u[:, k]
    algebra[:, :3, 3] = u[:, 3:]
    angle = u[:, :3].norm(dim=1)
    within = angle < math.pi
    numbers = {
        "product": _relative(product, a @ b),
        "inverse": _relative(affine_matrix(_E3.inverse(g)), torch.linalg.inv(a)),
        "exponential": _relative(affine_matrix(_E3.exp(u)), torch.linalg.matrix_exp(algebra)),
        "logarithm": _relative(_E3.log(_E3.exp(u))[within], u[within]),
    }
    swapped = _relative(product, b @ a)
    return Measured(
        max(numbers.values()),
        bound=EXACT,
        control=swapped,
        holds=max(numbers.values()) < EXACT,
        floor=0.0,
        others=numbers,
        draw=bars(numbers | {"factors swapped": swapped}),
    )


@claim(
    "38/products",
    subject=SPACE,
    title="Products of irreps commute with turns and mirrors, whatever their weights",
    told="A tensor product of features, mixed by Clebsch-Gordan coefficients, is equivariant.",
    found=(
        "A fully connected tensor product of e3nn with random weights is moved by rotations, by mirrors and "
        "by the inversion, with the Wigner matrices of this library. The same weights with every label even, "
        "which forgets parity, obey rotations still and fail in a mirror."
    ),
    needs="e3nn",
)
def products(seed: int) -> Measured:
    from e3nn import o3

    latent = SpaceRepresentation.parse(_FEATURES)
    forgetful = SpaceRepresentation(tuple((n, degree, 1) for n, degree, _ in latent.irreps))
    turns = _SO3.sample(20, generator=_generator(seed)).double()
    normals = torch.randn(20, 3, generator=_generator(seed + 1), dtype=torch.float64)
    mirrors = torch.cat([mirror(normals), inversion(dtype=torch.float64)])
    x, y = torch.randn(2, 21, latent.dim, generator=_generator(seed + 2), dtype=torch.float64)

    def errors(rho: SpaceRepresentation) -> tuple[float, float]:
        """Under rotations, and under mirrors: features move as they do, and the labels may be wrong."""
        with _in_float64(seed):
            product = o3.FullyConnectedTensorProduct(*[str(rho).replace(" ", "")] * 3)
        product.requires_grad_(False)
        return tuple(
            _relative(
                product(latent.act(g, x[: len(g)]), latent.act(g, y[: len(g)])),
                latent.act(g, product(x[: len(g)], y[: len(g)])),
            )
            for g in (turns, mirrors)
        )

    numbers = dict(zip(("rotations", "mirrors"), errors(latent), strict=True))
    turned, control = errors(forgetful)
    wrong = {"all even, rotations": turned}
    return Measured(
        max(numbers.values()),
        bound=EXACT,
        control=control,
        holds=max(numbers.values()) < EXACT,
        floor=0.0,
        ceiling=math.sqrt(2),
        others=numbers | wrong,
        draw=bars(numbers | wrong | {"all even, mirrors": control}),
    )


class _Network(nn.Module):
    """Points (B, N, 3) to a latent: moments of shells times harmonics, then products of irreps.

    Args:
        degree: highest degree of the harmonics.
        shells: number of radial functions.
    """

    broken = False  # whether a nonlinearity acts on single coordinates, which no turn commutes with

    def __init__(self, degree: int = 3, shells: int = 3):
        from e3nn import o3

        super().__init__()
        self.degree = degree
        self.register_buffer("centres", torch.linspace(0.5, 2.5, shells))
        parities = ((-1) ** ell for ell in range(degree + 1))
        lifted = "+".join(
            f"{shells}x{ell}{'e' if parity == 1 else 'o'}" for ell, parity in enumerate(parities)
        )
        hidden, latent = (text.replace(" ", "") for text in (_HIDDEN, _LATENT))
        self.first = o3.FullyConnectedTensorProduct(lifted, lifted, hidden)
        self.second = o3.FullyConnectedTensorProduct(hidden, hidden, latent)
        self.rest = o3.Linear(hidden, latent)

    def forward(self, points: Tensor) -> Tensor:
        points = points - points.mean(1, keepdim=True)
        radius = points.norm(dim=2, keepdim=True)
        shells = torch.exp(-2 * (radius - self.centres).square())
        direction, parts = points / radius.clamp(min=1e-12), []
        for degree in range(self.degree + 1):
            harmonics = solid_harmonics(degree, direction)
            parts.append(torch.einsum("bns,bnm->bsm", shells, harmonics).flatten(1))
        lifted = torch.cat(parts, dim=1) / points.shape[1]
        hidden = self.first(lifted, lifted)
        hidden = hidden.relu() if self.broken else hidden / (1 + hidden.norm(dim=1, keepdim=True))
        return self.second(hidden, hidden) + self.rest(hidden)


def trained(seed: int, points: Tensor, steps: int) -> nn.Module:
    """A network whose first number has learned the mean distance from the centre."""
    with _in_float64(seed):
        network = _Network()
    target = (points - points.mean(1, keepdim=True)).norm(dim=2).mean(1)
    target = (target - target.mean()) / target.std()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        loss = (network(points)[:, 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


@claim(
    "44",
    subject=SPACE,
    title="Encode once, turn the features afterwards",
    told="Features of a rotated molecule need no new pass: Wigner matrices turn the ones there are.",
    found=(
        "A trained network of e3nn encodes structures in new poses, and its features of the old pose are "
        "turned by Wigner matrices instead. The two are the same up to rounding, and turning costs a small "
        "part of encoding; a network with a nonlinearity on single coordinates has no such shortcut."
    ),
    needs="e3nn",
)
def features(seed: int) -> Measured:
    return turned_features(seed)


def turned_features(
    seed: int, poses: int = 200, atoms: int = 200, steps: int = 20, repeats: int = 3
) -> Measured:
    """Row 44 at another size."""
    steps_of = torch.randn(16, atoms, 3, generator=_generator(seed), dtype=torch.float64)
    chains = 1.5 * steps_of.cumsum(dim=1) / math.sqrt(atoms)
    latent = SpaceRepresentation.parse(_LATENT)
    g = _E3.sample(poses, shift=3.0, generator=_generator(seed + 2)).double()
    moved = _E3.act(g, chains[:1].expand(poses, -1, -1))
    network = trained(seed, chains, steps)
    z, again = network(chains[:1]).expand(poses, -1), network(moved)
    v = slice(latent.slices.content.stop, None)  # what turns; the rest has no need to be turned
    turned = latent.act(g, z)
    encoding = _seconds(lambda: network(moved), repeats) / poses
    turning = _seconds(lambda: latent.act(g, z), repeats) / poses
    error, ceiling = _relative(again, turned), _relative(again[:, v], z[:, v])
    network.broken = True
    wrong, other = network(chains[:1]).expand(poses, -1), network(moved)
    control = _relative(other[:, v], latent.act(g, wrong)[:, v])
    errors = {"turned by D(R)": error, "nonlinear by coordinates": control, "not turned": ceiling}
    return Measured(
        error,
        bound=EXACT,
        control=control,
        holds=error < EXACT and turning < encoding,
        floor=0.0,
        ceiling=ceiling,
        others={
            "encoding a pose, us": 1e6 * encoding,
            "turning the features, us": 1e6 * turning,
            "times faster": encoding / turning,
        },
        draw=bars(errors),
    )


def _seconds(f: Callable[[], object], repeats: int) -> float:
    """The least time of some calls."""
    f()
    best = math.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - begin)
    return best
