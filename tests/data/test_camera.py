"""Cameras break the symmetry of the images, each in its own way, and leave true poses alone."""

import math

import pytest
import torch

from eqvae.data import ImageSet, Light, PlainCamera, RotatedShifted, Sprites, Stretch
from eqvae.data.posing import Posing, pose_images
from eqvae.domains import SquareGrid
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry import compose, motion

POSING = RotatedShifted(41, shift_scale=1.0, max_shift=2.0)


class At(Posing):
    """Given motions."""

    def __init__(self, g):
        self.g, self.size, self.seed = g, 41, 0

    def draw(self, n, labels=None):
        return self.g


def disc(size=41, radius=9.0):
    return (radius + 0.5 - pixel_coordinates(size, size).norm(dim=-1)).clamp(0, 1)[None, None]


def spread(image):
    """Second moments of x and y, px^2."""
    weight = image[0, 0] / image.sum()
    points = pixel_coordinates(*image.shape[-2:])
    mean = (weight[..., None] * points).sum((0, 1))
    return (weight[..., None] * (points - mean) ** 2).sum((0, 1))


def test_stretch_of_a_centred_disc():
    before, picture = disc(), Stretch(1.5).take(disc())
    assert torch.allclose(spread(before)[0], spread(before)[1])
    assert (spread(picture) / spread(before)).tolist() == pytest.approx([1.5, 1 / 1.5], rel=0.01)
    assert float(picture.sum()) == pytest.approx(float(before.sum()), rel=0.01), "areas stay"
    assert torch.allclose(Stretch(1).take(before), before, atol=1e-6)


def test_light_is_1_at_the_right_edge_and_falls_to_the_left():
    x = torch.full((2, 3, 9, 9), 0.5)
    factor = Light(0.5).take(x) / x
    assert (factor[..., -1] == 1).all()
    assert (factor.diff(dim=-1) > 0).all() and (factor.diff(dim=-2) == 0).all()
    assert (float(factor.min()), float(factor.max())) == pytest.approx((1 / 3, 1))
    assert torch.equal(Light(0).take(x), x)


@pytest.mark.parametrize("rendered", [False, True])
@pytest.mark.parametrize("camera", [PlainCamera(), Stretch(), Light()])
def test_only_before_a_plain_camera_turning_the_object_turns_the_picture(camera, rendered):
    """posed at r g = r (posed at g), for a quarter turn r, which is exact."""
    source = Sprites(12).load() if rendered else ImageSet(Sprites(12).load().images)
    rows, g = torch.arange(12), POSING.draw(12)
    r = motion(torch.full((12,), math.pi / 2))
    turned = pose_images(source, rows, At(compose(r, g)), camera).image
    picture = SquareGrid(41).act(r, pose_images(source, rows, At(g), camera).image)
    error = float((turned - picture).norm() / picture.norm())
    if isinstance(camera, PlainCamera):
        assert error < 1e-4, "control: rounding only"
    else:
        assert error > 0.1


@pytest.mark.parametrize("camera", [Stretch(), Light()])
def test_the_true_pose_is_the_one_before_the_camera(camera):
    source, rows = Sprites(12).load(), torch.arange(12)
    plain = pose_images(source, rows, POSING)
    seen = pose_images(source, rows, POSING, camera)
    assert torch.equal(seen.pose, plain.pose)
    assert torch.equal(seen.image, camera.take(plain.image)) and not torch.equal(
        seen.image, plain.image
    )


@pytest.mark.parametrize("camera", [PlainCamera(), Stretch(), Light()])
def test_masks_go_where_the_camera_places_the_object(camera):
    image = (disc(33, 6.0) > 0.5).float()
    source = ImageSet(image, masks=image > 0.5)
    seen = pose_images(source, torch.tensor([0]), At(motion(0.0, (5.0, 3.0)).float()), camera)
    assert set(seen.mask.unique().tolist()) == {0.0, 1.0}
    brightness = camera.expose(torch.ones_like(seen.image))
    assert torch.equal(seen.mask, (seen.image > 0.5 * brightness).float())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stretch(0), "stretch must be positive; got 0"),
        (lambda: Light(1.5), "strength must be from 0 to 1; got 1.5"),
    ],
)
def test_bad_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
