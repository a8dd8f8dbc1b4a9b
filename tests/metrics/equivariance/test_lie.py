"""The Lie derivative is exact on what is known in closed form, and sees what is not equivariant."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.metrics.equivariance.lie import lie_derivative, lie_scores
from eqvae.metrics.equivariance.velocity import (
    ImageAction,
    directional_derivative,
    image_velocity,
    velocity,
)
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.testing import GaussianScenes
from tests.toys import LATENT, toy_vae

SIZE = 41
PLANE = PlaneMotions()
BASIS = PLANE.generators()
GENERATORS = pytest.mark.parametrize("generator", ["rotation", "shift_x", "shift_y"])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def scenes(size: int = SIZE, width: float = 1.5) -> GaussianScenes:
    return GaussianScenes(4, seed=0, size=size, width=width)


def at(generator: str, t: float) -> Tensor:
    return (
        motion(angle=t)
        if generator == "rotation"
        else motion(shift=(t, 0.0) if generator == "shift_x" else (0.0, t))
    )


def windowed_noise(size: int = 33, sigma: float = 0.6, seed: int = 0) -> Tensor:
    """White noise, blurred a little, that vanishes towards the border."""
    torch.manual_seed(seed)
    g = torch.arange(-4, 5.0)
    kernel = torch.exp(-(g**2) / 2 / sigma**2)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2).expand(3, 1, 9, 9)
    x = F.conv2d(torch.randn(16, 3, size, size), kernel, padding=4, groups=3)
    axis = torch.arange(size) - (size - 1) / 2
    return x * torch.sigmoid(size / 2 - 5 - torch.hypot(axis[:, None], axis))


@GENERATORS
def test_the_velocity_of_images_is_that_of_scenes_moved_exactly(generator):
    h = 1e-3
    ahead, behind = (scenes().render(at(generator, t)) for t in (h, -h))
    expected = (ahead - behind) / (2 * h)
    measured = image_velocity(scenes().render(), BASIS[generator])
    assert ((measured - expected).norm() / expected.norm()).item() < 1e-5


def test_the_velocity_of_a_wave_in_closed_form():
    n = 16
    k = 2 * math.pi * 3 / n
    x = torch.cos(k * (torch.arange(n) - 7.5)).expand(1, 1, n, n)
    expected = k * torch.sin(k * (torch.arange(n) - 7.5)).expand(1, 1, n, n)  # -d/dx
    torch.testing.assert_close(image_velocity(x, BASIS["shift_x"]), expected)
    torch.testing.assert_close(image_velocity(x, BASIS["shift_x"], stride=2.0), expected / 2)
    assert image_velocity(x, BASIS["shift_y"]).abs().max() < 1e-12
    torch.testing.assert_close(image_velocity(x.mT, BASIS["shift_y"]), -expected.mT)  # y is up


@GENERATORS
def test_the_velocity_of_latents_is_not_flat_at_the_identity(generator):
    """Cosines are exactly 1 near 0, so differentiating there gives zero: the trap this avoids."""
    latent = Representation((2, 1, 1, 1), sign=1)
    z, h = torch.randn(5, latent.dim), 1e-4
    expected = latent.act(at(generator, h).expand(5, 4), z)
    expected = (expected - latent.act(at(generator, -h).expand(5, 4), z)) / (2 * h)
    torch.testing.assert_close(
        velocity(latent.act, z, BASIS[generator], PLANE), expected, rtol=1e-7, atol=1e-7
    )


@GENERATORS
def test_an_equivariant_model_has_none_and_a_biased_one_has_some(generator):
    x = scenes().render()
    for bias in (0.0, 1.0):
        vae = toy_vae(SIZE, bias=bias)
        found = lie_derivative(
            lambda x, v=vae: v.encode(Batch(x)).mode, x, generator, act=LATENT.act
        )
        assert found.method == "forward mode"
        if bias == 0 or generator != "rotation":  # a constant bias moves with shifts
            assert found.error < 1e-8
        else:  # the bias stays where the position turns: L = -X b, of length 1 per radian in x and y
            expected = torch.zeros(4, LATENT.dim)
            expected[:, LATENT.slices.position] = torch.tensor([1.0, -1.0])
            torch.testing.assert_close(found.value, expected, rtol=0, atol=1e-4)


@GENERATORS
def test_decoders_start_from_latents(generator):
    z = torch.tensor([[0.5, -0.3, 0.0, 0.4, 0.2], [0.0, 1.0, -0.5, -0.2, 0.3]])
    laws = {"act_in": LATENT.act, "act": ImageAction()}
    assert lie_derivative(toy_vae(SIZE).decode, z, generator, **laws).relative < 1e-5
    biased = lie_derivative(toy_vae(SIZE, bias=1.0).decode, z, "rotation", **laws)
    assert biased.relative > 0.1


def test_forward_mode_equals_double_backward():
    torch.manual_seed(0)
    f = nn.Sequential(nn.Conv2d(1, 4, 5), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(4, 2, 3)).float()
    x = scenes().render().float()
    v = image_velocity(x, BASIS["rotation"])
    x.requires_grad_()
    y = f(x)
    u = torch.zeros_like(y, requires_grad=True)
    (pulled,) = torch.autograd.grad(y, x, u, create_graph=True)
    (double,) = torch.autograd.grad(pulled, u, v)
    forward, method = directional_derivative(f, x.detach(), v)
    assert method == "forward mode"
    assert ((forward - double).abs().max() / double.abs().max()).item() < 5e-7
    central, _ = directional_derivative(f, x.detach(), v, "central differences")
    assert ((central - double).norm() / double.norm()).item() < 1e-4


class Cube(torch.autograd.Function):
    """x^3 without a forward-mode rule."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        return 3 * ctx.saved_tensors[0] ** 2 * gradient


def test_a_layer_without_a_forward_rule_is_said_to_be_differenced():
    x = scenes().render()
    found = lie_derivative(Cube.apply, x, "shift_x")
    assert found.method == "central differences"
    exact = lie_derivative(lambda x: x**3, x, "shift_x")
    assert exact.method == "forward mode"
    assert ((found.value - exact.value).norm() / exact.value.norm()).item() < 1e-8
    with pytest.raises(RuntimeError):
        lie_derivative(Cube.apply, x, "shift_x", method="forward mode")


def test_what_is_wrong_with_the_function_is_not_hidden():
    with pytest.raises(RuntimeError, match="mat1 and mat2|shapes"):
        lie_derivative(nn.Linear(3, 2), scenes().render())


def test_a_pose_taken_as_invariant_reads_an_error_that_is_not_there():
    """The public code's mistake: a perfectly equivariant latent must turn."""
    vae, x = toy_vae(SIZE), scenes().render()
    right = lie_scores(lambda x: vae.encode(Batch(x)).mode, x, act=LATENT.act)
    wrong = lie_scores(lambda x: vae.encode(Batch(x)).mode, x)
    assert right["rotation"].value < 1e-8
    assert wrong["rotation"].value > 1e-4
    assert wrong["shift_x"].value == pytest.approx(
        1 / LATENT.dim, rel=1e-3
    )  # dt/dt = 1 of 5 outputs


def test_the_error_is_a_mean_square_and_not_a_mean_absolute_value():
    x = torch.zeros(2, 1, 9, 9)
    x[..., 4, 4] = 1.0
    speed = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    found = lie_derivative(
        lambda x: x.flatten(1)[:, :1] * speed, x, lambda x, t: x + t, act=lambda y, t: y
    )
    assert found.error == pytest.approx((9 + 1) / 8)  # mean |.| would be 4 / 8
    assert found.error != pytest.approx(found.value.abs().mean().item())


def test_your_own_flow():
    x = scenes().render()
    scaled = lie_derivative(
        lambda x: x**2, x, lambda x, t: x * (1 + t), act=lambda y, t: y * (1 + t) ** 2
    )
    assert scaled.relative < 1e-12
    assert lie_derivative(lambda x: x**2, x, lambda x, t: x * (1 + t)).relative == pytest.approx(2)


def test_a_plain_network_fails():
    torch.manual_seed(0)
    f = nn.Sequential(nn.Conv2d(1, 8, 5, 2), nn.SiLU(), nn.Flatten(), nn.LazyLinear(LATENT.dim))
    x = scenes().render()
    f(x)
    scores = lie_scores(f, x, act=LATENT.act)
    for generator in ("rotation", "shift_x", "shift_y"):
        score = scores[f"{generator}/relative"]
        assert score.value > 0.05 and score.value > 0.1 * score.floor
        assert score.interval[0] <= score.value <= score.interval[1]
        assert (score.better, score.ceiling) == ("lower", 0.0)


def test_bilinear_interpolation_has_a_kink_at_the_identity():
    """Three derivatives, three numbers; ours is the one of the image between its pixels."""
    x = scenes(width=0.8).render()
    axis = torch.linspace(-1, 1, SIZE)

    def shifted(t: Tensor) -> Tensor:  # normalised coordinates, as public code has them
        place = ((axis - 2 * t / (SIZE - 1) + 1) / 2 * (SIZE - 1)).clamp(0, SIZE - 1.001)
        left = place.detach().floor().long()
        fraction = place - left
        return x[..., left] * (1 - fraction) + x[..., left + 1] * fraction

    def size(d: Tensor) -> float:
        return d.square().mean().sqrt().item()

    h = 1e-6
    automatic = size(torch.func.jvp(shifted, (torch.zeros(()),), (torch.ones(()),))[1])
    still, ahead, behind = (shifted(torch.tensor(t)) for t in (0.0, h, -h))
    forward, central = size((ahead - still) / h), size((ahead - behind) / (2 * h))
    exact = size(image_velocity(x, BASIS["shift_x"]))
    step = scenes(width=0.8).render(at("shift_x", h)) - scenes(width=0.8).render(at("shift_x", -h))
    assert exact == pytest.approx(size(step / (2 * h)), rel=1e-2)
    assert forward > 1.05 * central and automatic > 1.02 * central
    assert central < 0.95 * exact


def test_layers_rank_as_published():
    """Relative errors of random layers on windowed noise; METRICS: 1.0, .61, .72, 0.000/0.005, 1.49."""
    x = windowed_noise()
    torch.manual_seed(1)
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    g = torch.arange(-4, 5.0)
    blur = torch.exp(-(g[:, None] ** 2 + g**2) / 2)
    blur = (blur / blur.sum()).expand(3, 1, 9, 9)

    def relative(f, generator: str, stride: float = 1.0) -> float:
        found = lie_derivative(f, x, generator, act=ImageAction(stride))
        edge = int(4 / stride)  # the convolutions' zero padding is not the question here
        inner = (slice(None), slice(None), *[slice(edge, -edge)] * 2)
        return (found.value[inner].norm() / found.output[inner].norm()).item()

    assert relative(lambda x: F.relu(conv(x)), "shift_x") == pytest.approx(1.0, abs=0.3)
    assert relative(lambda x: F.avg_pool2d(x, 2), "shift_x", 2) == pytest.approx(0.61, abs=0.3)
    per_output_pixel = relative(lambda x: conv(x)[..., ::2, ::2], "shift_x", 2) / 2
    assert per_output_pixel == pytest.approx(0.72, abs=0.15)
    assert relative(conv, "shift_x") < 5e-3
    assert relative(conv, "rotation") == pytest.approx(1.49, abs=0.25)
    smooth = lambda x: F.conv2d(x, blur, padding=4, groups=3)  # noqa: E731
    assert relative(smooth, "shift_x") < 1e-3 and relative(smooth, "rotation") < 1e-2


def test_mistakes_are_named():
    x = scenes().render()
    with pytest.raises(ValueError, match="generator must be one of"):
        lie_derivative(nn.Identity(), x, "scaling")
    with pytest.raises(ValueError, match="method must be"):
        lie_derivative(nn.Identity(), x, method="autograd")
    with pytest.raises(ValueError, match="x must be finite"):
        lie_derivative(nn.Identity(), x * math.nan)
    zero = lie_scores(lambda x: 0 * x, x, act=ImageAction())
    assert (
        zero["rotation/relative"].value is None
        and "same for every image" in zero["rotation/relative"].reason
    )
