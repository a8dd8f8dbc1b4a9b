"""Coordinates of images: motions, deformations and optics act on them as on the images themselves."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.domains import pixel_coordinates
from eqvae.pose.space import TemplateSpace
from eqvae.symmetry import PlaneMotions, Representation, compose, inverse, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import quarter_turns, relative_error
from tests.cases import draw, move
from tests.pose.scenes import SIZE, drawn, scenes, smooth, space, template, wrapped

CHANNELS = pytest.mark.parametrize("channels", [1, 3])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def random(n: int, channels: int = 1) -> Tensor:
    """Any coordinates, background included."""
    return torch.randn(n, space(channels).dim)


def act(g: Tensor, d: Tensor, channels: int = 1) -> Tensor:
    """Motions by the tested action of latents, channel by channel; the background stays."""
    latent = Representation(space(channels).harmonics.multiplicities, position=False)
    body = d[:, :-channels].unflatten(1, (channels, -1)).unbind(1)
    return torch.cat([*(latent.act(g, part) for part in body), d[:, -channels:]], dim=1)


@CHANNELS
def test_analysis_undoes_synthesis(channels):
    """Up to the tails that the frame cuts, of functions at the highest degrees."""
    d, t = smooth(space(channels), 4, spare=6), torch.rand(4, 2) - 0.5
    again = space(channels).analyse(space(channels).synthesise(d, t), t)
    assert relative_error(again, d) < 1e-4
    assert relative_error(space(channels).analyse(space(channels).synthesise(d, t), t + 1), d) > 0.1


@CHANNELS
def test_the_background_is_a_coordinate(channels):
    """Object + constant: the last coordinates hold the constant, the images come back."""
    x = scenes(3, channels).render()
    level = torch.randn(3, channels)
    t = torch.zeros(3, 2)
    lit = space(channels).analyse(x + level[..., None, None], t)
    measured = lit[:, -channels:] / space(channels).layout(lit).remainder
    torch.testing.assert_close(measured, level, atol=5e-3, rtol=0)
    flat = space(channels).coefficients(lit, flat=True)
    dark = space(channels).coefficients(space(channels).analyse(x, t))
    assert relative_error(flat, dark) < 0.02
    assert relative_error(space(channels).coefficients(lit), dark) > 0.5  # control: not taken away
    ones = space(channels).derivative(lit, "background")
    expected = space(channels).analyse(torch.ones_like(x), t)
    assert relative_error(ones, expected) < 0.01
    image = space(channels).synthesise(ones, t)
    torch.testing.assert_close(image, torch.ones_like(image), atol=1e-9, rtol=0)


@CHANNELS
def test_turns_are_the_action_of_latents(channels):
    d, g = random(8, channels), draw(PlaneMotions.o2(), 8, shift=0.0)
    turned = space(channels).turn(d, g[:, 1], g[:, 0])
    torch.testing.assert_close(turned, act(g, d, channels))
    torch.testing.assert_close(
        space(channels).mirror(d), act(motion(reflection=1.0).expand(8, 4), d, channels)
    )
    h = draw(PlaneMotions.o2(), 8, seed=1, shift=0.0)
    both = compose(h, g)
    twice = space(channels).turn(turned, h[:, 1], h[:, 0])
    torch.testing.assert_close(space(channels).turn(d, both[:, 1], both[:, 0]), twice)
    wrong = compose(g, h)  # control: O(2) does not commute
    assert relative_error(space(channels).turn(d, wrong[:, 1], wrong[:, 0]), twice) > 0.1


@CHANNELS
def test_turned_coordinates_are_turned_functions(channels):
    d, t, g = random(6, channels), torch.randn(6, 2), draw(PlaneMotions.o2(), 6, shift=0.0)
    points = 5 * torch.randn(6, 40, 2)
    turned = space(channels).turn(d, g[:, 1], g[:, 0])
    actual = space(channels).evaluate(turned, apply(g, t), points)
    expected = space(channels).evaluate(d, t, apply(inverse(g), points))
    torch.testing.assert_close(actual, expected)
    pixels = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(6, -1, -1)
    images = space(channels).synthesise(d, t).flatten(2)
    torch.testing.assert_close(space(channels).evaluate(d, t, pixels), images)


def test_moved_images_have_moved_coordinates():
    """Exactly for what moves the pixels, to 1 % for scenes turned by any angle."""
    x, turns = torch.rand(3, 2, SIZE, SIZE), quarter_turns(reflections=True)
    still = space(2).analyse(x, torch.zeros(3, 2))
    for g in turns:
        g = g.expand(3, 4)
        moved = space(2).analyse(move(g, x), torch.zeros(3, 2))
        torch.testing.assert_close(moved, space(2).turn(still, g[:, 1], g[:, 0]))
    still = template(scenes())
    for g in draw(PlaneMotions.o2(), 6, shift=2.0):
        g = g.expand(3, 4)
        moved = space().analyse(scenes().render(g[:1]), g[:, 2:])
        assert relative_error(moved, space().turn(still, g[:, 1], g[:, 0])) < 0.01
        assert relative_error(moved, still) > 0.05  # control


@CHANNELS
def test_correlation_is_the_inner_product_at_every_angle(channels):
    d, a, count = random(5, channels), random(5, channels), 12
    by_angle = [
        (space(channels).turn(d, torch.full((5,), 2 * math.pi * n / count)) * a).sum(dim=1)
        for n in range(count)
    ]
    expected = torch.stack(by_angle, dim=1)
    torch.testing.assert_close(space(channels).correlate(d, a, count), expected)
    assert relative_error(space(channels).correlate(a, d, count), expected) > 0.1  # control
    many = space(channels).correlate(d[:, None, None], a[:, None, None], count)
    torch.testing.assert_close(many, expected[:, None, None].expand(5, 1, 1, count))


@CHANNELS
def test_inner_products_are_those_of_images(channels):
    """Objects well inside the frame, with a constant background: |error| < 1 % of the norms."""
    x, t = scenes(3, channels).render(), torch.tensor([0.4, -0.3]).expand(3, 2)
    y = scenes(3, channels).render(motion(1.0, (0.5, 0.2)))
    for level in (0.0, 0.3, -0.2):
        a, b = space(channels).analyse(x, t), space(channels).analyse(y + level, t)
        ours, pixels = (a * b).sum(dim=1), (x * (y + level)).sum(dim=(1, 2, 3))
        scale = x.flatten(1).norm(dim=1) * (y + level).flatten(1).norm(dim=1)
        assert ((ours - pixels).abs() < 0.01 * scale).all()
        squared = (y + level).square().sum(dim=(1, 2, 3))
        torch.testing.assert_close(b.square().sum(dim=1), squared, rtol=0.01, atol=0)
    alone = (a * b)[:, :-channels].sum(dim=1)  # control: the background axis is needed
    bare = b[:, :-channels].square().sum(dim=1)
    assert ((bare - squared).abs() > 0.05 * squared).all() and alone.isfinite().all()


def test_turning_by_a_small_angle_is_the_generator_of_angle():
    d, h = random(4), 1e-4
    turned = [space().turn(d, torch.full((4,), s * h)) for s in (1, -1)]
    numeric = (turned[0] - turned[1]) / (2 * h)
    torch.testing.assert_close(space().derivative(d, "angle"), numeric, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(
        space().derivative(d, "angle"), space().layout(d).frequency * space().quarter(d)
    )
    assert torch.equal(space().derivative(d, "intensity"), d)


@CHANNELS
@pytest.mark.parametrize("axis", [0, 1])
def test_shifting_by_little_is_the_generator_of_shift(channels, axis):
    """Of what moves, seen from where it was; the highest degree leaks, so it is zero here."""
    d, h = smooth(space(channels), 3), 1e-4
    points, step = 3 * torch.randn(3, 30, 2), torch.eye(2)[axis].expand(3, 2) * h
    sides = [space(channels).evaluate(d, s * step, points) for s in (1, -1)]
    numeric = (sides[0] - sides[1]) / (2 * h)
    tangent = space(channels).derivative(d, ("shift_x", "shift_y")[axis])
    actual = space(channels).evaluate(tangent, torch.zeros(3, 2), points)
    torch.testing.assert_close(actual, numeric, atol=1e-6, rtol=0)
    turn = torch.full((3,), math.pi / 2)  # a vector: R d/dx R^-1 = d/dy
    turned = space(channels).turn(
        space(channels).derivative(space(channels).turn(d, -turn), "shift_x"), turn
    )
    torch.testing.assert_close(turned, space(channels).derivative(d, "shift_y"))


@CHANNELS
@pytest.mark.parametrize("generator", ["scale", "stretch", "shear", "heat"])
def test_deformations_act_on_every_channel(channels, generator):
    d = smooth(space(channels), 2)
    body = space(channels).coefficients(space(channels).derivative(d, generator))
    for c in range(channels):
        one = space().extend(space(channels).coefficients(d)[:, c : c + 1])
        torch.testing.assert_close(
            body[:, c], space().coefficients(space().derivative(one, generator))[:, 0]
        )


def blob(width: float, centre: tuple[float, float]) -> Tensor:
    points = pixel_coordinates(SIZE, SIZE) - torch.tensor(centre)
    return torch.exp(-points.square().sum(dim=-1) / (2 * width**2)) / (2 * math.pi * width**2)


@CHANNELS
def test_a_filter_blurs_as_its_transfer_function_says(channels):
    """Gaussians stay Gaussians: widths add in squares; seen from their centre and from beside it."""
    frequency = torch.linspace(0, math.pi, 512)
    for centre, t in (((0.0, 0.0), (0.0, 0.0)), ((1.5, -1.0), (0.0, 0.0))):
        sharp, blurred = (
            blob(w, centre).expand(2, channels, -1, -1) for w in (2.0, math.sqrt(2.0**2 + 1.2**2))
        )
        view = torch.tensor(t).expand(2, 2)
        d = space(channels).extend(
            space(channels).coefficients(space(channels).analyse(sharp, view))
        )
        transfer = torch.exp(-0.5 * (1.2 * frequency) ** 2).expand(2, -1)
        images = space(channels).synthesise(space(channels).filter(d, transfer), view)
        assert relative_error(images, blurred) < 2e-3
        assert relative_error(sharp, blurred) > 0.2  # control


@CHANNELS
def test_filters_are_linear_commute_with_turns_and_multiply(channels):
    d, q = random(3, channels), 64
    one = torch.ones(3, q)
    torch.testing.assert_close(space(channels).filter(d, one), d, atol=1e-8, rtol=0)
    transfer = torch.rand(3, q)
    angle = torch.randn(3)
    seen = space(channels).filter(d, transfer)
    assert relative_error(seen, d) > 0.05  # control
    torch.testing.assert_close(
        space(channels).filter(space(channels).turn(d, angle), transfer),
        space(channels).turn(seen, angle),
    )
    torch.testing.assert_close(space(channels).filter(d, -2 * transfer), -2 * seen)
    stack = torch.stack([d, 3 * d], dim=1)  # (B, M, dim): each image has its own transfer function
    torch.testing.assert_close(
        space(channels).filter(stack, transfer), torch.stack([seen, 3 * seen], dim=1)
    )


def test_views_know_their_images():
    x, t = torch.rand(4, 2, SIZE, SIZE), torch.randn(4, 2)
    view = space(2).look(x, t)
    torch.testing.assert_close(view.coordinates, space(2).analyse(x, t))
    torch.testing.assert_close(view.energy, x.square().sum(dim=(1, 2, 3)))
    many = space(2).analyse(x, torch.stack([t, t + 1], dim=1))
    torch.testing.assert_close(many, torch.stack([space(2).analyse(x, s) for s in (t, t + 1)], 1))


def test_types_follow_the_images():
    """Single precision in, single precision out, and equal to double to that accuracy."""
    torch.set_default_dtype(torch.float32)
    made = space()
    x, t = torch.rand(2, 1, SIZE, SIZE), torch.zeros(2, 2)
    single = made.analyse(x, t)
    assert single.dtype == torch.float32
    tangent = made.derivative(single, "scale")
    double = made.analyse(x.double(), t.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-4, rtol=1e-4)
    assert made.derivative(double, "scale").dtype == torch.float64
    torch.testing.assert_close(
        made.derivative(double, "scale").float(), tangent, atol=1e-3, rtol=1e-3
    )
    assert made.correlate(double, double, 8).dtype == torch.float64
    assert made.filter(double, torch.ones(2, 16).double()).dtype == torch.float64
    assert made == TemplateSpace(made.harmonics) and hash(made) == hash(space())  # a value


def test_drawn_objects_are_where_they_were_put():
    """The tests' own renderer against exact scenes."""
    g = motion(0.7, (1.3, -0.6))
    assert relative_error(drawn(template(scenes()), g), scenes().render(g)) < 0.01
    assert wrapped(torch.tensor(3 * math.pi)).abs().item() == pytest.approx(math.pi)


def test_heat_is_the_derivative_of_a_gaussian_blur():
    """Two ways to the same filter: ladders in the plane, quadrature in frequency."""
    d, h = smooth(space(), 3, spare=2), 1e-3
    frequency = torch.linspace(0, math.pi, 256)
    sides = [space().filter(d, torch.exp(-s * h * frequency**2 / 2).expand(3, -1)) for s in (1, -1)]
    numeric = (sides[0] - sides[1]) / (2 * h)
    torch.testing.assert_close(space().derivative(d, "heat"), numeric, atol=1e-4, rtol=0)
    assert numeric.norm() > 1  # control
