"""Disk harmonics: orthonormal, turned by rho, and the same function on and off the pixels."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import eval_hermite, gammaln

from eqvae.domains import pixel_coordinates
from eqvae.nn.harmonics import DiskHarmonics, hermite_functions
from eqvae.symmetry import PlaneMotions, Representation, inverse, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes, relative_error
from tests.cases import basis, draw

SIZE, DEGREE, WIDTH = 50, 10, 2.3  # well within the image and its band limit: sums are integrals


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@pytest.fixture
def harmonics() -> DiskHarmonics:
    return basis(SIZE, degree=DEGREE, radius=WIDTH * math.sqrt(2 * DEGREE + 2))


def test_hermite_functions_are_scipys():
    u = np.linspace(-8, 8, 41)
    ours = hermite_functions(torch.from_numpy(u), 30).numpy()
    for n in range(30):
        log_norm = -0.5 * (n * math.log(2) + gammaln(n + 1) + 0.5 * math.log(math.pi))
        expected = eval_hermite(n, u) * np.exp(log_norm - u**2 / 2)
        np.testing.assert_allclose(ours[n], expected, rtol=1e-9, atol=1e-12)


def test_hermite_functions_far_out_are_nothing_and_no_numbers_that_are_slow_to_compute_with():
    u = torch.linspace(-40, 40, 2001)
    found = hermite_functions(u, 27)
    assert not ((found != 0) & (found.abs() < torch.finfo(found.dtype).tiny)).any()
    assert found[:, u.abs() > 13].abs().max() < 1e-17


def test_the_basis_is_orthonormal_on_the_pixels(harmonics):
    """Anywhere the functions fit; they fall to 1e-10 at the border and at the band limit."""
    for position in ((0.0, 0.0), (0.3, -0.7), (3.0, 2.5)):
        t = torch.tensor([position]).expand(harmonics.dim, 2)
        basis = harmonics.synthesise(torch.eye(harmonics.dim)[:, None], t).flatten(1)
        torch.testing.assert_close(basis @ basis.T, torch.eye(harmonics.dim), atol=1e-8, rtol=0)


def test_the_change_of_basis_is_orthogonal_and_complete(harmonics):
    change = harmonics.basis_change(like=torch.zeros(()))
    torch.testing.assert_close(change.T @ change, torch.eye(harmonics.dim), atol=1e-12, rtol=0)
    j, i = torch.meshgrid(torch.arange(DEGREE + 1), torch.arange(DEGREE + 1), indexing="ij")
    inside = (i + j <= DEGREE).flatten()
    assert inside.sum() == harmonics.dim
    assert change[~inside].abs().max() < 1e-12  # nothing but products h_i h_j, i + j <= N


def test_coefficients_are_laid_out_as_a_latent(harmonics):
    latent = Representation(harmonics.multiplicities, position=False)
    assert latent.dim == harmonics.dim == 66
    assert latent.max_frequency == DEGREE


def test_the_first_functions_by_hand(harmonics):
    """A Gaussian, and the Gaussian times x and y: cos is along x, sin along y, which is up."""
    points = pixel_coordinates(SIZE, SIZE)
    x, y = points[..., 0], points[..., 1]
    gaussian = torch.exp(-(x**2 + y**2) / (2 * WIDTH**2)) / (WIDTH * math.sqrt(math.pi))
    psi1 = Representation(harmonics.multiplicities, position=False).blocks[1].start
    slope = math.sqrt(2) / WIDTH * gaussian
    for k, expected in ((0, gaussian), (psi1, slope * x), (psi1 + 1, slope * y)):
        unit = torch.eye(harmonics.dim)[k].reshape(1, 1, -1)
        image = harmonics.synthesise(unit, torch.zeros(1, 2))[0, 0]
        torch.testing.assert_close(image, expected, atol=1e-12, rtol=0)


def test_analysis_undoes_synthesis(harmonics):
    coefficients, t = torch.randn(5, 2, harmonics.dim), 3 * torch.rand(5, 2)
    images = harmonics.synthesise(coefficients, t)
    assert images.shape == (5, 2, SIZE, SIZE)
    torch.testing.assert_close(harmonics.analyse(images, t), coefficients, atol=1e-7, rtol=0)


def test_evaluation_at_the_pixels_is_synthesis(harmonics):
    coefficients, t = torch.randn(5, 2, harmonics.dim), 3 * torch.rand(5, 2)
    pixels = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(5, -1, -1)
    expected = harmonics.synthesise(coefficients, t).flatten(2)
    torch.testing.assert_close(harmonics.evaluate(coefficients, t, pixels), expected)


def test_motions_act_on_coefficients_by_rho(harmonics):
    """(g f)(p) = f(g^-1 p), where g also moves the centre."""
    latent = Representation(harmonics.multiplicities, position=False)
    coefficients, t = torch.randn(8, 1, harmonics.dim), torch.randn(8, 2)
    g, points = draw(PlaneMotions.o2(), 8), 5 * torch.randn(8, 20, 2)
    turned = latent.act(g, coefficients[:, 0])[:, None]
    moved = harmonics.evaluate(turned, apply(g, t), points)
    expected = harmonics.evaluate(coefficients, t, apply(inverse(g), points))
    torch.testing.assert_close(moved, expected)


def test_smooth_scenes_are_covered():
    """The default basis holds the test scenes up to their tails."""
    scenes = GaussianScenes(4, size=SIZE).render()
    harmonics, t = basis(SIZE), torch.zeros(4, 2)
    again = harmonics.synthesise(harmonics.analyse(scenes, t), t)
    assert relative_error(again, scenes) < 0.02
    coarse = basis(SIZE, degree=4)  # a control
    assert relative_error(coarse.synthesise(coarse.analyse(scenes, t), t), scenes) > 0.1


@pytest.mark.parametrize(
    ("radius", "message"),
    [
        (30.0, "radius=30 and degree=22 reach 30.0 px .* holds 25 px .* from 1.3 to 25"),
        (1.0, "radius=1 and degree=1 reach 1.0 px and 4.00 rad/px; .* 3.14 rad/px"),
        (0.0, "radius must be positive.* got 0.0"),
        (-4.0, "radius must be positive.* got -4.0"),
    ],
    ids=["reach", "band", "nothing", "negative"],
)
def test_what_does_not_fit_is_refused(radius, message):
    with pytest.raises(ValueError, match=message):
        basis(SIZE, radius=radius)


@pytest.mark.parametrize(
    ("size", "radius"), [(50, None), (50, 25.0), (33, 14.0), (16, None), (50, 2.0)]
)
def test_the_degree_is_lowered_to_what_the_pixels_hold(size, radius):
    """The highest function reaches 3 rad/px at most, and one degree more would pass it."""
    harmonics = basis(size, degree=100, radius=radius)
    band = [(2 * (harmonics.degree + n) + 2) / harmonics.radius for n in (0, 1)]
    assert band[0] <= 3.0 < band[1] or harmonics.degree == 1
    assert harmonics.asked_degree == 100 and basis(size, degree=1, radius=radius).degree == 1
    assert harmonics.radius == (5 / 16 * size if radius is None else radius)
    assert harmonics.width * math.sqrt(2 * harmonics.degree + 2) == pytest.approx(harmonics.radius)


def test_a_basis_is_a_value(harmonics):
    """Equal where what it says is equal, so that two parts can be asked whether they share one."""
    same = basis(SIZE, degree=DEGREE, radius=harmonics.radius)
    assert same == harmonics and hash(same) == hash(harmonics) and same is not harmonics
    assert basis(SIZE, degree=99) == basis(SIZE, degree=22, radius=15.625)  # both hold degree 22
    others = basis(SIZE + 1, degree=DEGREE, radius=harmonics.radius), harmonics.coarser(4)
    assert all(other != harmonics for other in (*others, harmonics.of_channels(2), basis(SIZE)))
    assert harmonics.coarser(99) == harmonics.of_channels(2).of_channels(1) == harmonics
    assert copy.deepcopy(harmonics) == harmonics


def test_irreps_and_channels_are_two_orders_of_the_same(harmonics):
    both, a = harmonics.of_channels(3), torch.randn(4, 3, harmonics.dim)
    h = both.by_irrep(a)
    assert torch.equal(both.by_channel(h), a)
    assert both.representation.dim == h.shape[1] == 3 * harmonics.dim
    g = draw(PlaneMotions.o2(), 4)
    single = [harmonics.representation.act(g, a[:, c]) for c in range(3)]
    torch.testing.assert_close(both.representation.act(g, h), both.by_irrep(torch.stack(single, 1)))
    assert torch.equal(harmonics.by_irrep(a[:, :1]), a[:, 0])


def test_precision_follows_the_images_and_tables_can_be_trained_with():
    """Made first in inference mode, as in a check before training, and used in training afterwards."""
    harmonics, x = basis(21, degree=5, radius=6.5), torch.rand(2, 1, 21, 21)
    with torch.inference_mode():
        first = harmonics.analyse(x, torch.zeros(2, 2))
    t = torch.zeros(2, 2, requires_grad=True)
    harmonics.synthesise(harmonics.analyse(x.requires_grad_(), t), t).square().sum().backward()
    assert x.grad.abs().sum() > 0 and t.grad.abs().sum() > 0
    single = harmonics.analyse(x.detach().float(), torch.zeros(2, 2).float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), first.clone(), atol=1e-5, rtol=1e-5)


def test_gradients_flow_to_coefficients_and_positions():
    harmonics = basis(10, degree=3, radius=1.5 * math.sqrt(8))
    coefficients = torch.randn(2, 1, harmonics.dim, requires_grad=True)
    t = torch.randn(2, 2, requires_grad=True)
    assert torch.autograd.gradcheck(harmonics.synthesise, (coefficients, t))
    x = torch.randn(2, 1, 10, 10, requires_grad=True)
    assert torch.autograd.gradcheck(harmonics.analyse, (x, t))


def test_one_motion_of_pixels_is_a_phase():
    """Analysis of an image turned by torch.rot90 gives coefficients turned by 90 degrees."""
    harmonics = basis(SIZE)
    x = torch.rand(3, 1, SIZE, SIZE)
    latent = Representation(harmonics.multiplicities, position=False)
    g = motion(angle=math.pi / 2).expand(3, 4)
    still = harmonics.analyse(x, torch.zeros(3, 2))[:, 0]
    turned = harmonics.analyse(torch.rot90(x, 1, (-2, -1)), torch.zeros(3, 2))[:, 0]
    torch.testing.assert_close(turned, latent.act(g, still), atol=1e-10, rtol=0)


def test_a_compiled_network_takes_the_tables_as_constants():
    harmonics, x, t = basis(21, degree=5, radius=6.5), torch.rand(2, 1, 21, 21), torch.zeros(2, 2)

    def again(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        h = harmonics.by_irrep(harmonics.analyse(x, t))
        return harmonics.synthesise(harmonics.by_channel(h), t)

    compiled = torch.compile(again, backend="eager", fullgraph=True)  # one graph, or an error
    torch.testing.assert_close(compiled(x, t), again(x, t))
