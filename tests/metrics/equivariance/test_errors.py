"""Errors are zero for a model that moves exactly, and see one that does not."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid
from eqvae.metrics import (
    angle_sweep,
    band_limited,
    decibel_score,
    decibels,
    decoder_errors,
    elbo_change,
    encoder_errors,
    equivariance_errors,
    keep,
    latent_error,
    paired_errors,
    resampling_errors,
    resampling_floor,
    round_trip_errors,
    subpixel_shifts,
)
from eqvae.metrics.equivariance.decibels import mean_squares
from eqvae.metrics.equivariance.norms import disc_norms
from eqvae.symmetry import PlaneMotions, angle_of, linear_of, motion, reflection_of, shift_of
from eqvae.testing import GaussianScenes, quarter_turns
from tests.toys import LATENT, toy_vae

SIZE = 41
RENDER = pytest.mark.parametrize("render", [False, True], ids=["interpolated", "rendered"])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def motions() -> Tensor:
    return PlaneMotions.o2().sample(6, shift=1.0, generator=torch.Generator().manual_seed(0))


def move(g: Tensor) -> Tensor:
    return GaussianScenes(3, seed=0, size=SIZE).render(g)


def latents() -> Tensor:
    return torch.tensor([[0.5, -0.3, 0.0, 0.4, 0.2], [0.0, 1.0, -0.5, -0.2, 0.3]])


def test_sweeps_leave_the_identity_out():
    assert torch.rad2deg(angle_of(angle_sweep(90.0))).tolist() == pytest.approx([90, 180, 270])
    assert len(angle_sweep()) == 71
    shifts = subpixel_shifts(1000)
    assert reflection_of(shifts).abs().max() == angle_of(shifts).abs().max() == 0
    assert shift_of(shifts).abs().max() <= 0.5
    assert shift_of(shifts).min() < -0.45 and shift_of(shifts).max() > 0.45
    assert torch.equal(shifts, subpixel_shifts(1000))


@RENDER
def test_an_exact_model_has_no_error(render):
    vae = toy_vae(SIZE, render=render)
    # moments and Gaussians of 3 px are exact on the grid up to the tails beyond the border
    assert encoder_errors(vae, move, motions()).max() < 1e-6
    relative, squared = decoder_errors(vae, latents(), motions())
    assert relative.max() < 1e-6 and decibels(squared) > 120
    assert round_trip_errors(vae, move, motions()).max() < 1e-6


@RENDER
def test_a_biased_model_is_seen(render):
    vae = toy_vae(SIZE, bias=1.0, render=render)
    turns = angle_sweep(45.0)
    assert encoder_errors(vae, move, turns).min() > 0.05
    assert round_trip_errors(vae, move, turns).min() > 0.05
    if not render:  # a rendering decoder is measured against its own functions, bias and all
        assert decoder_errors(vae, latents(), turns)[0].min() > 0.05


@RENDER
def test_decoder_errors_are_relative_on_the_disc(render):
    """At a half turn a bias of b pixels displaces by 2 b: written out once more by hand."""
    vae, g, z = toy_vae(SIZE, bias=1.0, render=render), motion(angle=math.pi), latents()
    with torch.no_grad():
        moved = vae.decode(vae.representation.act(g, z))
        still = torch.rot90(vae.decode(z), 2, (-2, -1))
    mask = SquareGrid(SIZE).mask().double()
    error = ((moved - still) * mask).norm() / (still * mask).norm()
    mean_square = ((moved - still).square() * mask).sum() / (mask.sum() * len(z))
    relative, squared = decoder_errors(vae, z, g)
    torch.testing.assert_close(relative.double()[0], error, rtol=1e-6, atol=0)
    torch.testing.assert_close(squared.double()[0], mean_square, rtol=1e-6, atol=0)


def test_encoder_error_of_a_known_bias():
    """E = exact + b: at a half turn the error is 2 b in both coordinates, over |v|."""
    vae, n = toy_vae(SIZE, bias=0.5), 3
    v = vae.encode(Batch(move(motion()))).mode[:, LATENT.slices.vector]
    expected = math.sqrt(n * 2 * (2 * 0.5 / 5.0) ** 2) / v.norm().item()
    measured = encoder_errors(vae, move, motion(angle=math.pi))
    assert measured.item() == pytest.approx(expected, rel=1e-5)


def test_latent_error_weighs_the_position_by_its_prior():
    vae = toy_vae(SIZE)
    expected = torch.tensor([[100.0, 0.0, 3.0, 4.0, 0.0]])
    assert latent_error(vae.representation, expected, expected) == 0
    off = expected + torch.tensor([[5.0, 0.0, 0.0, 0.0, 0.0]])  # one standard deviation
    assert latent_error(vae.representation, off, expected) == pytest.approx(1 / 5)
    off = expected + torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0]])
    assert latent_error(vae.representation, off, expected) == pytest.approx(1 / 5)


def test_the_floor_is_what_interpolation_costs():
    smooth = GaussianScenes(2, size=SIZE).render()
    assert resampling_floor(smooth, quarter_turns()).max() == 0
    assert resampling_floor(smooth, angle_sweep(40.0)).max() < 1e-5
    rough = torch.rand(2, 1, SIZE, SIZE)  # white noise: much lies in the corners of the spectrum
    floor = resampling_floor(rough, angle_sweep(40.0))
    assert ((floor > 0.02) & (floor < 0.5)).all()


def test_elbo_of_an_exact_model_changes_with_the_position_prior_only():
    vae, turns = toy_vae(SIZE), linear_of(motions())
    nats, fraction = elbo_change(vae, move, turns)
    assert nats.max() < 1e-3 and fraction.max() < 1e-5
    shift = motion(shift=(0.4, 0.0))
    with torch.no_grad():
        t = vae.encode(Batch(move(motion()))).mode[:, LATENT.slices.position]
        expected = ((t + shift_of(shift)).square() - t.square()).sum(dim=1).abs().mean() / 2 / 25
    assert elbo_change(vae, move, shift)[0].item() == pytest.approx(expected.item(), abs=1e-3)
    biased = partial(elbo_change, toy_vae(SIZE, bias=1.0), move)
    assert biased(turns)[0].min() > 0.1


def test_decibels_in_closed_form():
    assert decibels(torch.tensor([1e-4])) == pytest.approx(40)
    assert decibels(torch.tensor([1e-4, 3e-4])) == pytest.approx(10 * math.log10(1 / 2e-4))
    assert decibels(torch.zeros(2)) == pytest.approx(300)  # perfect stays finite


def test_the_toy_speaks_for_its_representation():
    assert toy_vae(SIZE).representation == LATENT


def on_grid(g: Tensor, x: Tensor) -> Tensor:
    return SquareGrid.of(x).act(g, x)


def noise_move(g: Tensor) -> Tensor:
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return on_grid(g.expand(len(x), -1), x)


def test_any_function_can_be_measured():
    """Quarter turns and mirrors of white noise are exact, so errors are the function's alone."""
    turns = quarter_turns(reflections=True)[1:]
    pooled = equivariance_errors(
        lambda x: torch.nn.functional.avg_pool2d(x, 2), noise_move, on_grid, turns
    )
    assert pooled.relative.max() < 1e-12
    mean = equivariance_errors(lambda x: x.mean((2, 3)), noise_move, keep, turns)
    assert mean.relative.max() < 1e-12
    subsampled = equivariance_errors(lambda x: x[..., ::2, ::2], noise_move, on_grid, turns)
    assert subsampled.relative.max() > 0.3  # the control: one mirror keeps the even pixels


def test_scores_have_an_interval_over_images_and_the_floor_of_unrelated_ones():
    torch.manual_seed(0)
    expected = torch.randn(5, 200, 12)
    motions = motion(angle=torch.arange(1.0, 6.0))
    score = paired_errors(motions, expected + 0.1 * torch.randn(5, 200, 12), expected).score()
    assert score.value == pytest.approx(0.1, rel=0.03)
    assert score.floor == pytest.approx(math.sqrt(2), rel=0.02)
    assert (score.ceiling, score.n, score.better) == (0.0, 200, "lower")
    assert score.interval[0] < score.value < score.interval[1] < 0.11
    random = paired_errors(motions, torch.randn(5, 200, 12), expected).score()
    assert random.value == pytest.approx(random.floor, rel=0.02)  # no better than chance
    single = paired_errors(motions, expected[:, :1], expected[:, :1]).score()
    assert single.value == 0 and single.floor is None and single.interval is None


def test_what_has_no_relative_error_says_so():
    zeros, g = torch.zeros(1, 4, 3), motion(angle=1.0)
    assert "zero" in paired_errors(g, zeros, zeros).score().reason
    assert "not finite" in paired_errors(g, zeros * math.nan, zeros + 1).score().reason


def test_a_sweep_after_a_mirror_holds_the_mirror():
    sweep = angle_sweep(90.0, reflection=True)
    assert reflection_of(sweep).tolist() == [1, 1, 1, 1]
    assert torch.rad2deg(angle_of(sweep)).tolist() == pytest.approx([0, 90, 180, 270])


def test_band_limited_images_cost_little_to_resample():
    rough = torch.rand(3, 1, SIZE, SIZE)
    before, after = (
        resampling_floor(x, angle_sweep(40.0)).max() for x in (rough, band_limited(rough))
    )
    assert after < 0.02 and after < 0.1 * before
    smooth = GaussianScenes(2, size=SIZE).render()
    difference = (band_limited(smooth) - smooth).norm() / smooth.norm()
    assert difference < 1e-2  # what is smooth already stays
    turned = band_limited(torch.rot90(rough, 1, (-2, -1)))
    torch.testing.assert_close(turned, torch.rot90(band_limited(rough), 1, (-2, -1)))


def test_decibels_of_a_decoder_have_floor_and_interval():
    images = GaussianScenes(8, size=SIZE).render()
    turns = angle_sweep(60.0)
    off = [images + 0.01 for _ in turns]
    errors = paired_errors(turns, off, [images] * len(turns), disc_norms)
    assert mean_squares(errors, images.shape) == pytest.approx(1e-4)
    score = decibel_score(errors, images.shape, resampling_errors(images, turns))
    assert score.value == pytest.approx(40)
    assert score.floor < 30 and score.ceiling > 60 and score.unit == "dB"
    assert score.interval == pytest.approx((40, 40))
