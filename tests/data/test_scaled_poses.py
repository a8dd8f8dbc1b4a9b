"""Images posed at many scales: drawn there, told in their poses, and never larger than their window."""

import math

import pytest
import torch

from eqvae.config import build, compose
from eqvae.data import RotatedShifted, Sprites, Upright
from eqvae.data.posing import pose_images
from eqvae.domains import SquareGrid
from eqvae.symmetry import has_scale, log_scale_of, motion, without_scale
from eqvae.testing import relative_error

ROWS = torch.arange(6)


def sprites() -> Sprites:
    return Sprites(num_images=200, size=26, radius=(10.0, 10.0), shapes=("flag", "ring"))


def test_scales_are_drawn_beside_the_same_angles_and_shifts():
    plain, scaled = (RotatedShifted(64, scales=scales) for scales in (None, (0.6, 1.6)))
    a, b = plain.draw(3000), scaled.draw(3000)
    assert not has_scale(a) and torch.equal(without_scale(b), a)
    s = log_scale_of(b)
    assert s.min() >= math.log(0.6) and s.max() <= math.log(1.6) + 1e-6
    assert abs(s.mean() - (math.log(0.6) + math.log(1.6)) / 2) < 0.02


def test_sprites_are_drawn_at_their_scale_and_others_are_resampled():
    """An object of twice the size covers four times as much; interpolation agrees with the drawing."""
    source = sprites().load()
    g = motion(torch.zeros(6), log_scale=torch.tensor([0.0, 0.2, 0.4, 0.4, -0.2, -0.3]))
    drawn, still = source.render(ROWS, g, 64), source.render(ROWS, without_scale(g), 64)
    grown = drawn.sum(dim=(1, 2, 3)) / still.sum(dim=(1, 2, 3))
    torch.testing.assert_close(grown, torch.exp(2 * log_scale_of(g)), rtol=0.01, atol=0)
    moved = SquareGrid(64).act(g, still, "fourier")
    assert relative_error(moved, drawn) < 0.05
    assert relative_error(still, drawn) > 0.3  # control
    batch = pose_images(source, ROWS, RotatedShifted(64, scales=(0.6, 1.6)))
    assert batch.pose.shape == (6, 5)
    torch.testing.assert_close(source.render(ROWS, batch.pose, 64), batch.image)


def test_scales_at_which_images_leave_the_window_are_refused():
    source, posing = sprites().load(), RotatedShifted(40, scales=(0.6, 1.6))
    with pytest.raises(ValueError, match=r"at 1.6 their 26 pixels are 41.6, .*=42 .* up to 1.54"):
        pose_images(source, ROWS, posing)
    pose_images(source, ROWS, RotatedShifted(42, scales=(0.6, 1.6)))
    pose_images(source, ROWS, Upright(26))
    with pytest.raises(ValueError, match="two positive numbers with 1 between them"):
        RotatedShifted(64, scales=(0.0, 1.6))


def test_the_configuration_has_scales():
    config = compose(["data=sprites", "data/pose=scaled", "symmetry=sim2"])
    assert build(config["data"]["pose"], path="data.pose").scales == (0.6, 1.6)
    assert config["latent"]["scale"] and config["harmonics"]["scales"] == [0.6, 1.6]
