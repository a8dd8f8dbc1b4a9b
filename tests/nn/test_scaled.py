"""Harmonic networks of SIM(2): what they see and draw is scaled as the object is, and the pose says so."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.models import VAE
from eqvae.nn import CentreOfMass, DiskHarmonics, HarmonicDecoder, HarmonicEncoder
from eqvae.nn.views import AdaptiveMoments, View
from eqvae.symmetry import (
    PlaneMotions,
    Representation,
    Similarities,
    compose,
    log_scale_of,
    motion,
    shift_of,
    with_log_scale,
    without_scale,
)
from eqvae.testing import GaussianScenes, relative_error
from tests.cases import draw

SIZE, N = 80, 6
LATENT = Representation((6, 3, 2), scale=True)
GROUPS = pytest.mark.parametrize(
    "group", [Similarities(), Similarities(reflections=True)], ids=lambda group: group.name
)
STILL = motion(
    log_scale=math.log(0.8), dtype=torch.float64
)  # so that the largest stay in the window


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@cache
def scenes() -> GaussianScenes:
    return GaussianScenes(N, seed=0, size=SIZE, width=3.2, dtype=torch.float64)


def seen(g: Tensor) -> Tensor:
    """Scenes moved by g, (6, 1, 80, 80)."""
    return scenes().render(compose(g, STILL.expand(N, -1)))


def vae(latent: Representation = LATENT, group: PlaneMotions | None = None) -> VAE:
    """With gains that are not zero, so that what the network adds to the view is seen."""
    group = group or Similarities()
    torch.manual_seed(0)
    scales = (0.6, 1.6) if latent.scale else (1.0, 1.0)
    harmonics = DiskHarmonics(SquareGrid(SIZE), degree=10, radius=11.0, scales=scales)
    settings = {"hidden": 8, "frequency": 3}
    encoder = HarmonicEncoder(harmonics, latent, group, **settings)
    decoder = HarmonicDecoder(harmonics, latent, group, out_frequency=8, **settings)
    for gain in (p for p in encoder.split.parameters() if p.dim() == 0):
        torch.nn.init.constant_(gain, 0.1)
    return VAE(encoder, decoder, GaussianPrior(latent), GaussianLikelihood()).eval()


@GROUPS
@torch.no_grad()
def test_the_posterior_moves_with_scenes(group):
    """q(z | g x) = g q(z | x), standard deviations too; what is left is the windows' tails and SiLU."""
    model, g = vae(group=group), draw(group, N, shift=2.0)
    q, moved = (model.encode(Batch(seen(h))) for h in (group.identity(N), g))
    expected = q.act(g)
    torch.testing.assert_close(moved.loc, expected.loc, atol=2e-3, rtol=0)
    torch.testing.assert_close(moved.log_scale, expected.log_scale, atol=2e-3, rtol=0)
    assert (q.loc - moved.loc).abs().max() > 0.3  # control: something moved
    flat = q.act(without_scale(g))
    assert (moved.loc - flat.loc)[:, LATENT.slices.scale].abs().max() > 0.2
    pose = moved.pose.mode
    apart = shift_of(compose(without_scale(g), q.pose.mode)) - shift_of(pose)
    assert apart.norm(dim=1).max() > 0.05  # control: shifts of a motion that does not scale


@GROUPS
@torch.no_grad()
def test_the_decoder_moves_with_its_latents(group):
    """D(g z) = g D(z) at any point of the plane, with the same latents unscaled as a control."""
    decoder, g = vae(group=group).decoder, draw(group, N, shift=2.0)
    z, points = torch.randn(N, LATENT.dim) / 2, 8 * torch.randn(N, 50, 2)
    still = decoder.render(z, points)
    moved = decoder.render(LATENT.act(g, z), group.act(g, points))
    assert relative_error(moved, still) < 1e-3  # aliasing of SiLU alone
    unscaled = decoder.render(LATENT.act(without_scale(g), z), group.act(g, points))
    assert relative_error(unscaled, still) > 0.1
    at_pixels = SquareGrid(SIZE).points().reshape(1, -1, 2).expand(N, -1, -1)
    torch.testing.assert_close(decoder.render(z, at_pixels), decoder(z).flatten(2))


@torch.no_grad()
def test_a_latent_without_a_scale_does_not_follow():
    """The control: the same network of SE(2), whose v changes when the object grows."""
    latent = Representation((6, 3, 2))
    model, grown = vae(latent, PlaneMotions.so2()), motion(log_scale=math.log(1.5)).expand(N, -1)
    before, after = (model.encode(Batch(seen(g))) for g in (motion(log_scale=0.0), grown))
    v = latent.slices.vector
    assert relative_error(after.loc[:, v], before.loc[:, v]) > 0.1


@torch.no_grad()
def test_readings_of_pose_move_and_content_stays():
    model, group = vae(), Similarities()
    g = draw(group, N, shift=2.0)
    q, moved = (model.encode(Batch(seen(h))).settled() for h in (group.identity(N), g))
    expected, pose = compose(g, q.pose.mode), moved.pose.mode
    assert pose.shape == (N, 5)
    torch.testing.assert_close(pose[:, 2:], expected[:, 2:], atol=2e-3, rtol=0)
    torch.testing.assert_close((pose - expected)[:, 1].sin(), torch.zeros(N), atol=0.02, rtol=0)
    torch.testing.assert_close(moved.content.loc, q.content.loc, atol=0.02, rtol=0)


@torch.no_grad()
def test_moments_find_place_and_size_from_a_poor_guess_and_through_noise():
    moments = AdaptiveMoments(DiskHarmonics(SquareGrid(SIZE), radius=11.0, scales=(0.6, 1.6)))
    moments = moments.double()
    g = draw(Similarities(), N, shift=3.0)
    x, y = seen(Similarities().identity(N)), seen(g)
    found, moved = (
        moments(image, View(CentreOfMass(SquareGrid(SIZE)).double()(image))) for image in (x, y)
    )
    place = Similarities().act(g, found.position)
    torch.testing.assert_close(moved.position, place, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        moved.log_scale, found.log_scale + log_scale_of(g), atol=1e-4, rtol=0
    )
    poor = moments(y, View(moved.position + 2.0))
    torch.testing.assert_close(poor.position, place, atol=5e-3, rtol=0)
    noise = 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    noisy = moments(y + noise, View(moved.position + 1.0))
    assert (noisy.log_scale - moved.log_scale).abs().max() < 0.05
    assert (noisy.position - moved.position).norm(dim=1).max() < 0.3


def test_coefficients_do_not_know_the_scale():
    """a(g x) = rho(g) a(x) for scalings about t, and analysis undoes synthesis at every scale."""
    harmonics = DiskHarmonics(SquareGrid(SIZE), degree=8, radius=12.0, scales=(0.6, 1.6))
    a, t = torch.randn(N, 1, harmonics.dim), torch.randn(N, 2)
    s = log_scale_of(draw(Similarities(), N))
    again = harmonics.analyse(harmonics.synthesise(a, t, s), t, s)
    torch.testing.assert_close(again, a, atol=1e-6, rtol=0)
    assert relative_error(harmonics.analyse(harmonics.synthesise(a, t, s), t), a) > 0.1  # control
    points = 5 * torch.randn(N, 20, 2)
    g = with_log_scale(motion(torch.zeros(N)), s)
    there = harmonics.evaluate(a, Similarities().act(g, t), Similarities().act(g, points), s)
    torch.testing.assert_close(there, harmonics.evaluate(a, t, points))
    small = DiskHarmonics(SquareGrid(9), degree=2, radius=3.0)
    part = a[:1, :, : small.dim], t[:1], s[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(small.synthesise, part)


def test_gradients_reach_every_parameter_and_the_elbo_is_finite():
    model = vae().train()
    elbo = model.score(Batch(seen(draw(Similarities(), N)))).elbo
    elbo.sum().backward()
    missing = [n for n, p in model.encoder.split.named_parameters() if p.grad is None]
    assert elbo.isfinite().all() and not missing
    blank = model.encode(Batch(torch.zeros(2, 1, SIZE, SIZE)))
    assert blank.loc.isfinite().all() and blank.log_scale.isfinite().all()


@pytest.mark.parametrize("part", [HarmonicEncoder, HarmonicDecoder])
def test_a_scale_in_one_of_both_is_refused(part):
    for latent, group in ((LATENT, PlaneMotions.so2()), (LATENT.vector, Similarities())):
        with pytest.raises(ValueError, match=r"must have a scale with SIM\(2\), and with no other"):
            part(DiskHarmonics(SquareGrid(SIZE)), latent, group)


def test_scales_that_leave_the_window_are_refused():
    with pytest.raises(ValueError, match=r"becomes 38.4 px, and an image of 64 px .* up to 1.33"):
        DiskHarmonics(SquareGrid(64), radius=24.0, scales=(0.6, 1.6))
    with pytest.raises(ValueError, match="two positive numbers with 1 between them"):
        DiskHarmonics(SquareGrid(64), scales=(1.2, 1.6))
    basis = DiskHarmonics(SquareGrid(64), degree=20, radius=16.0, scales=(0.6, 1.6))
    assert (basis.degree, basis.reading.degree) == (20, 13)  # 3 rad/px at the smallest scale
    assert DiskHarmonics(SquareGrid(64)).reading.degree == DiskHarmonics(SquareGrid(64)).degree
