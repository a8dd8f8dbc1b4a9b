"""Wave packets move as their points do, and hold the frequency that they say."""

import math

import pytest
import torch

from eqvae.domains import SquareGrid
from eqvae.symmetry import compose, motion
from eqvae.symmetry.motions import apply, inverse
from eqvae.testing import GaborScenes, quarter_turns

DOUBLE = {"dtype": torch.float64}


def test_grid_motions_permute_the_pixels():
    scenes = GaborScenes(2, seed=1, size=33, band=0.6, channels=2, **DOUBLE)
    grid = SquareGrid(33)
    for turn in quarter_turns(reflections=True):
        g = compose(motion(shift=(1.0, -2.0), **DOUBLE), turn[None])
        moved = grid.act(g.expand(2, 4), scenes.render())
        inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
        torch.testing.assert_close(scenes.render(g)[inner], moved[inner], rtol=0, atol=1e-12)


def test_values_travel_with_their_points():
    scenes = GaborScenes(3, seed=2, band=0.4, **DOUBLE)
    points = 20 * torch.rand(50, 2, **DOUBLE) - 10
    g = motion(angle=0.7, shift=(1.3, 0.4), reflection=1.0, **DOUBLE)
    there = apply(g, points[None])[0]
    torch.testing.assert_close(scenes.evaluate(there, g), scenes.evaluate(points))
    assert (scenes.evaluate(there, inverse(g)) - scenes.evaluate(points)).abs().max() > 0.1


@pytest.mark.parametrize("band", [0.3, 0.6])
def test_the_spectrum_is_about_the_band(band):
    size = 129
    x = GaborScenes(4, seed=3, size=size, band=band, **DOUBLE).render()
    power = torch.fft.fft2(x).abs().square().sum(dim=(0, 1))
    axis = 2 * torch.fft.fftfreq(size, **DOUBLE)  # 1 is Nyquist
    radius = (axis[:, None].square() + axis.square()).sqrt()
    mean = (radius * power).sum() / power.sum()
    assert math.isclose(mean, band, abs_tol=0.02)
    assert power[(radius - band).abs() > 0.12].sum() / power.sum() < 1e-3


@pytest.mark.parametrize("changes", [{"band": 0.0}, {"band": math.nan}, {"envelope": -1.0}])
def test_no_waves_are_refused(changes):
    with pytest.raises(ValueError, match="must be a number above 0; got"):
        GaborScenes(1, **changes)
