"""Sprites are exact: at every pose what the formula says, and as symmetric as they claim."""

import math

import pytest
import torch

from eqvae.data import SHAPES, RotatedShifted, Sprites, Upright
from eqvae.data.posing import pose_images
from eqvae.domains import SquareGrid
from eqvae.symmetry import motion

GRID = SquareGrid(41)
KNOWN_ORDERS = {"flag": 1, "zed": 2, "whirl3": 3, "whirl4": 4, "ring": 0, "disc": 0}


def single(shape, **options):
    return Sprites(1, shapes=(shape,), radius=(10.0, 10.0), **options)


def draw(sprites, angle=0.0, shift=(0.0, 0.0), size=41, reflection=0.0):
    g = motion(angle, shift, reflection, dtype=torch.float64)
    return sprites.render(torch.tensor([0]), g, size)


def relative(a, b):
    return float((a - b).norm() / b.norm())


def test_every_required_symmetry_is_there():
    assert {name: shape.order for name, shape in SHAPES.items()} == KNOWN_ORDERS
    assert Sprites(3, shapes=("ring", "zed")).load().symmetry_orders == (0, 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_symmetry_is_what_the_order_says_and_no_more(shape):
    sprites, order = single(shape), KNOWN_ORDERS[shape]
    still = draw(sprites)
    if order == 0:
        for angle in (0.1, 1.0, 2.5):
            assert relative(draw(sprites, angle), still) < 1e-9
        return
    for k in range(order):
        assert relative(draw(sprites, 2 * math.pi * k / order), still) < 1e-6
    for other in {2, 3, 4, 5, 7} - {order}:
        if order % other:  # control: 1/other turn is not in C_order
            assert relative(draw(sprites, 2 * math.pi / other), still) > 0.1
    mirrors = motion(torch.arange(0, 6.28, 0.05).double(), reflection=1.0, dtype=torch.float64)
    drawn = sprites.render(torch.zeros(len(mirrors), dtype=torch.int64), mirrors, 41)
    assert min(relative(m, still[0]) for m in drawn) > 0.1, "chiral"


def test_rendering_is_the_analytic_scene():
    """A disc, moved: the coverage follows from the distance to its moved centre alone."""
    image = draw(single("disc"), angle=1.2, shift=(3.25, -1.5))
    row, column = torch.meshgrid(*2 * [torch.arange(41).double()], indexing="ij")
    distance = torch.hypot(column - 20 - 3.25, 20 - row + 1.5)
    inside, outside = (torch.special.ndtr((w - distance) / 0.9) for w in (7.0, -7.0))
    assert torch.allclose(image[0, 0], inside - outside, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_grid_motions_permute_the_pixels(shape):
    g = motion(math.pi / 2, (3.0, -2.0), dtype=torch.float64)
    moved = single(shape).render(torch.tensor([0]), g, 41)
    assert torch.allclose(moved, GRID.act(g, draw(single(shape))), atol=1e-9)


def test_any_motion_agrees_with_resampling():
    sprites = single("flag")
    g = motion(0.7, (2.3, -1.6), dtype=torch.float64)
    moved = sprites.render(torch.tensor([0]), g, 41)
    assert relative(GRID.act(g, draw(sprites), "fourier"), moved) < 0.01
    opposite = motion(-0.7, (2.3, -1.6), dtype=torch.float64)
    assert relative(GRID.act(opposite, draw(sprites), "fourier"), moved) > 0.3


def test_edges_are_smooth():
    """Anti-aliased: a shift by half a pixel in the Fourier domain is the sprite shifted."""
    image = draw(single("zed"))
    moved = GRID.act(motion(0.0, (0.5, 0.5), dtype=torch.float64), image, "fourier")
    assert relative(moved, draw(single("zed"), shift=(0.5, 0.5))) < 0.01


def test_posing_renders_instead_of_resampling():
    source = Sprites(20)
    rows, posing = torch.tensor([7, 3]), RotatedShifted(50)
    posed = pose_images(source.load(), rows, posing)
    assert torch.equal(posed.pose, posing.draw(20)[rows])
    assert torch.allclose(posed.image, source.render(rows, posed.pose, 50))


@pytest.mark.parametrize("background", ["clean", "constant", "gradient"])
def test_background_and_noise_belong_to_the_camera(background):
    sprites = Sprites(4, background=background, noise=0.05)
    corner = [
        pose_images(sprites.load(), torch.arange(4), posing).image[..., :4, :4]
        for posing in (Upright(50), RotatedShifted(50, max_shift=5.0))
    ]
    assert torch.allclose(*corner, atol=1e-5), "far from the object nothing moves"
    assert corner[0].min() >= 0 and corner[0].max() <= 1
    dark = 3 * 0.05 / (1 + 6 * 0.05)  # room for the noise
    assert (corner[0].mean() > dark + 0.1) == (background != "clean")


def test_noise_is_the_same_everywhere():
    clean, noisy = (Sprites(200, radius=(9.0, 9.0), noise=s).load().images for s in (0.0, 0.2))
    noise = noisy * (1 + 6 * 0.2) - 3 * 0.2 - clean
    for part in (clean > 0.99, clean < 0.01, (clean > 0.3) & (clean < 0.7)):
        assert noise[part].std() == pytest.approx(0.2, rel=0.02)


def test_draws_are_fixed_by_the_seed():
    a, b, c = (Sprites(30, noise=0.1, seed=seed).load() for seed in (0, 0, 1))
    assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    assert not torch.equal(a.labels, c.labels)
    part = Sprites(30, noise=0.1).render(torch.tensor([5]), motion(), 28)
    assert torch.allclose(part, a.images[5:6]), "the same scene whatever it is drawn with"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shapes": ("zed", "heart")}, "shapes must be names out of .*'flag'.*heart"),
        ({"shapes": ()}, "shapes must be names out of"),
        ({"background": "noisy"}, "background must be one of .*clean.*got 'noisy'"),
        ({"num_images": 0}, "num_images must be at least 1; got 0"),
        ({"noise": -0.1}, "noise is a standard deviation and not negative; got -0.1"),
        ({"radius": (9.0, 7.0)}, "radius must be .*got .9.0, 7.0"),
        ({"radius": (7.0, 20.0)}, "size / 2 = 14; got"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Sprites(**options)
