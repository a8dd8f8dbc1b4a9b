"""Generators of deformations against central differences of the exact deformation, and the quadrature."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.domains import pixel_coordinates
from eqvae.nn.deformations import GENERATORS, generator_matrix, radial_quadrature
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.pose.space import TemplateSpace
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import basis, draw
from tests.pose.scenes import degrees

SIZE, DEGREE, WIDTH = 50, 10, 2.3
STEP = 1e-4  # central differences err by STEP^2 times third derivatives, which are below 100
LEAKING = dict(shift_x=1, shift_y=1, scale=2, stretch=2, shear=2, heat=2)  # highest degrees
FLOWS = ("shift_x", "shift_y", "scale", "stretch", "shear")


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@pytest.fixture
def harmonics() -> DiskHarmonics:
    return basis(SIZE, degree=DEGREE, radius=WIDTH * math.sqrt(2 * DEGREE + 2))


def pulled_back(name: str, points: Tensor, u: float) -> tuple[Tensor, float]:
    """A_u^-1 p, and the factor that keeps the norm."""
    x, y = points[..., 0], points[..., 1]
    cosh, sinh = math.cosh(u), math.sinh(u)
    moved = {
        "shift_x": (x - u, y),
        "shift_y": (x, y - u),
        "scale": (x * math.exp(-u), y * math.exp(-u)),
        "stretch": (x * math.exp(-u), y * math.exp(u)),
        "shear": (cosh * x - sinh * y, cosh * y - sinh * x),
    }[name]
    return torch.stack(moved, dim=-1), math.exp(-u) if name == "scale" else 1.0


def difference(harmonics: DiskHarmonics, a: Tensor, name: str, points: Tensor) -> Tensor:
    """d/du of the deformed objects at points (B, P, 2), (B, 1, P)."""
    if name == "heat":
        return laplacian(harmonics, a, points) / 2
    sides = []
    for u in (STEP, -STEP):
        back, factor = pulled_back(name, points, u)
        sides.append(factor * harmonics.evaluate(a, torch.zeros(len(a), 2), back))
    return (sides[0] - sides[1]) / (2 * STEP)


def laplacian(harmonics: DiskHarmonics, a: Tensor, points: Tensor) -> Tensor:
    steps = 10 * STEP * torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])
    values = [harmonics.evaluate(a, torch.zeros(len(a), 2), points + step) for step in steps]
    return (sum(values[:4]) - 4 * values[4]) / (10 * STEP) ** 2


def below(harmonics: DiskHarmonics, spare: int) -> Tensor:
    return torch.randn(3, 1, harmonics.dim) * (degrees(harmonics) <= harmonics.degree - spare)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_the_derivative_of_its_deformation(harmonics, name):
    a, points = below(harmonics, spare=2), 4 * torch.randn(3, 50, 2)
    moved = a @ generator_matrix(harmonics, name).T
    expected = difference(harmonics, a, name, points)
    actual = harmonics.evaluate(moved, torch.zeros(3, 2), points)
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)
    for other in set(GENERATORS) - {name}:  # controls
        wrong = difference(harmonics, a, other, points)
        assert (actual - wrong).norm() > 0.3 * wrong.norm()


@pytest.mark.parametrize("name", GENERATORS)
def test_only_the_highest_degrees_leak_and_the_rest_is_a_projection(harmonics, name):
    """What the matrix gives is the exact derivative, projected on the basis."""
    a = below(harmonics, spare=0)
    grid = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(3, -1, -1)
    exact = difference(harmonics, a, name, grid).unflatten(2, (SIZE, SIZE))
    moved = a @ generator_matrix(harmonics, name).T
    projected = harmonics.analyse(exact, torch.zeros(3, 2))
    torch.testing.assert_close(projected, moved, atol=1e-5, rtol=0)
    top = a * (degrees(harmonics) > harmonics.degree - LEAKING[name])
    leak = (exact - harmonics.synthesise(moved, torch.zeros(3, 2))).flatten(1).norm(dim=1)
    # a ladder in x or y raises by sqrt((N + 1) / 2), two of them by (N + 2) / 2, and x and y add up
    bound = 2 * math.sqrt((DEGREE + 1) / 2) / WIDTH if LEAKING[name] == 1 else DEGREE + 2
    bound = bound / (2 * WIDTH**2) if name == "heat" else bound
    assert (leak <= bound * top.flatten(1).norm(dim=1)).all()
    assert (leak > 0.05 * top.flatten(1).norm(dim=1)).all()  # control: it does leak


def test_every_generator_is_tested():
    assert set(GENERATORS) == set(LEAKING) and set(FLOWS) == set(GENERATORS) - {"heat"}


@pytest.mark.parametrize("name", FLOWS)
def test_generators_keep_the_norm(harmonics, name):
    """All five flows preserve the integral of D^2, so their generators are antisymmetric."""
    matrix = generator_matrix(harmonics, name)
    torch.testing.assert_close(matrix, -matrix.T, atol=1e-10, rtol=0)


def test_heat_lowers_the_norm_and_turns_with_everything(harmonics):
    matrix = generator_matrix(harmonics, "heat")
    torch.testing.assert_close(matrix, matrix.T, atol=1e-10, rtol=0)
    assert torch.linalg.eigvalsh(matrix).max() < 0
    latent = Representation(harmonics.multiplicities, position=False)
    g, a = draw(PlaneMotions.o2(), 3, shift=0.0), below(harmonics, 0)[:, 0]
    torch.testing.assert_close(latent.act(g, a @ matrix.T), latent.act(g, a) @ matrix.T)


def test_shear_is_the_stretch_turned_by_45_degrees(harmonics):
    space = TemplateSpace(harmonics)
    d = space.extend(below(harmonics, 0))
    angle = torch.full((3,), math.pi / 4)
    stretched = space.derivative(space.turn(d, -angle), "stretch")
    torch.testing.assert_close(space.turn(stretched, angle), space.derivative(d, "shear"))


def test_the_quadrature_is_orthonormal(harmonics):
    frequency, values = radial_quadrature(harmonics, 64)
    assert frequency.min() > 0 and values.shape == (harmonics.dim, 64)
    start = 0
    for ell, copies in enumerate(harmonics.multiplicities):
        step = 1 if ell == 0 else 2
        rows = values[start : start + step * copies : step]
        torch.testing.assert_close(rows @ rows.T, torch.eye(copies), atol=1e-9, rtol=0)
        if step == 2:
            assert torch.equal(values[start], values[start + 1])
        start += step * copies


def test_unknown_generators_are_named(harmonics):
    with pytest.raises(ValueError, match="name must be one of .*'shear'.*got 'twist'"):
        generator_matrix(harmonics, "twist")
