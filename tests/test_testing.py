"""The tests' own tools: scenes that move exactly, and an assertion that names the worst motion."""

import pytest
import torch

from eqvae.domains import SquareGrid
from eqvae.symmetry import Representation, compose, motion
from eqvae.testing import GaussianScenes, assert_equivariant, latent_error, quarter_turns


def on_grid(g, x, interpolation="bicubic"):
    return SquareGrid.of(x).act(g, x, interpolation)


@pytest.fixture
def scenes() -> GaussianScenes:
    return GaussianScenes(3, seed=1, size=41, channels=2, dtype=torch.float64)


@pytest.mark.parametrize("g", [*quarter_turns(reflections=True)])
def test_scenes_move_as_pixels_do(scenes, g):
    g = compose(motion(shift=(3.0, -2.0), dtype=torch.float64), g[None])
    moved = on_grid(g.expand(3, 4), scenes.render())
    torch.testing.assert_close(scenes.render(g), moved, rtol=0, atol=1e-6)


def test_scenes_move_between_pixels_as_band_limited_images_do(scenes):
    g = motion(angle=0.7, shift=(1.3, 0.4), reflection=1.0, dtype=torch.float64)
    moved = on_grid(g.expand(3, 4), scenes.render(), "fourier")
    torch.testing.assert_close(scenes.render(g), moved, rtol=0, atol=1e-4)


def test_scenes_are_centred_bounded_and_seeded(scenes):
    x = scenes.render()
    assert x.amax(dim=(1, 2, 3)).sub(1).abs().max() < 0.02 and x.min() >= 0
    assert torch.equal(x, GaussianScenes(3, 1, 41, channels=2, dtype=torch.float64).render())
    torch.testing.assert_close(scenes.render(size=61)[..., 10:-10, 10:-10], x)


def test_assertion_passes_and_names_the_worst_motion(scenes):
    x = scenes.render()
    law = {"act_in": on_grid, "act_out": on_grid}
    assert assert_equivariant(torch.square, x, quarter_turns(), **law) == 0
    with pytest.raises(AssertionError, match=r"\[0.0, 3.1416, 0.0, 0.0\]"):
        assert_equivariant(lambda x: x.cumsum(-1), x, quarter_turns()[[0, 2]], **law)


def test_a_constant_that_is_not_a_number_fails(scenes):
    with pytest.raises(AssertionError, match="nan"):
        assert_equivariant(
            lambda x: x * torch.nan,
            scenes.render(),
            quarter_turns(),
            act_in=on_grid,
            act_out=on_grid,
        )


def test_latent_error_counts_positions_in_prior_units():
    rho = Representation((1, 1))
    expected = torch.tensor([[9.0, 9.0, 1.0, 0.0, 0.0]])
    assert latent_error(rho, expected + torch.tensor([5.0, 0, 0, 0, 0]), expected) == 1
    assert latent_error(rho, expected + torch.tensor([0, 0, 0.5, 0, 0]), expected) == 0.5
