"""What every posterior offers: content that no motion changes, and a pose that moves with the image."""

import math
from dataclasses import replace

import pytest
import torch

from eqvae.distributions import (
    ContentPosterior,
    GaussianPosterior,
    PosedPosterior,
    PosePosterior,
    Posterior,
)
from eqvae.distributions.reader import FrameReader
from eqvae.symmetry import PlaneMotions, Representation, angle_of, shift_of
from tests.cases import draw
from tests.distributions.test_pose import posterior as poses

N = 4
LATENT = Representation((3, 2, 1))
FRAME = Representation((3, 1))


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def gaussian(latent: Representation = LATENT) -> GaussianPosterior:
    loc = 3 * torch.randn(N, latent.dim)
    return GaussianPosterior(latent, loc, 0.3 * torch.randn(N, latent.num_copies) - 1)


def posed() -> PosedPosterior:
    content = ContentPosterior(torch.randn(N, 3), torch.randn(N, 3))
    return PosedPosterior(FRAME, content, poses(N))


EVERY = pytest.mark.parametrize("made", [gaussian, posed])


@EVERY
def test_every_posterior_offers_the_same(made):
    q = made()
    assert isinstance(q, Posterior)
    assert torch.equal(q.z, q.mode) and q.mode.shape == (N, q.representation.dim)
    assert q.rsample().shape == q.mode.shape and q.log_prob(q.rsample()).shape == (N,)
    assert isinstance(q.content, ContentPosterior) and isinstance(q.pose, PosePosterior)
    assert q.position_scale.shape == (N, 2)
    mass = q.angle_log_density().exp().mean(dim=1)
    torch.testing.assert_close(mass, torch.ones(N))


@EVERY
def test_content_stays_and_pose_moves(made):
    q, g = made(), draw(PlaneMotions.so2(), N)
    moved = q.act(g)
    torch.testing.assert_close(moved.content.loc, q.content.loc)
    torch.testing.assert_close(moved.content.log_scale, q.content.log_scale)
    assert (moved.mode - q.mode).abs().max() > 0.1  # control: the latent does move
    still, expected = moved.pose, q.pose.act(g)
    at = expected.sample()
    torch.testing.assert_close(still.log_prob(at), expected.log_prob(at))
    apart = angle_of(still.mode) - angle_of(expected.mode)
    torch.testing.assert_close(apart.cos(), torch.ones(N))  # equal modulo a whole turn
    torch.testing.assert_close(shift_of(still.mode), shift_of(expected.mode))


def test_the_pose_of_a_gaussian_latent_is_its_own_angle_and_position():
    q = replace(gaussian(), reader=FrameReader(copy=0))
    u = q.loc[:, q.representation.slices.frame][:, :2]
    torch.testing.assert_close(angle_of(q.pose.mode), torch.atan2(u[:, 1], u[:, 0]))
    torch.testing.assert_close(shift_of(q.pose.mode), q.loc[:, :2])
    torch.testing.assert_close(q.pose.position_scale, q.scale[:, :2])


def test_content_of_a_gaussian_latent_is_whole_but_for_the_pose():
    """Moved by the pose it is the latent again; its scales are those of v."""
    q = gaussian()
    still = torch.cat([torch.zeros(N, 2), q.content.loc], dim=1)
    torch.testing.assert_close(LATENT.act(q.pose.mode, still), q.loc)
    torch.testing.assert_close(q.content.log_scale.exp(), q.scale[:, LATENT.slices.vector])


def test_samples_of_the_pose_are_samples_of_the_latent():
    """Angles of draws of psi_1 and draws of the pose have the same mean direction and spread."""
    q = gaussian()
    n = 4000
    many = GaussianPosterior(LATENT, q.loc[:1].repeat(n, 1), q.log_scale[:1].repeat(n, 1))
    z = many.rsample()[:, LATENT.slices.frame][:, :2]
    direct = z / z.norm(dim=1, keepdim=True)
    angle = angle_of(many.pose.sample())
    drawn = torch.stack([angle.cos(), angle.sin()], dim=1)
    error = 5 / math.sqrt(n)  # five standard errors of a mean of numbers within [-1, 1]
    assert (direct.mean(dim=0) - drawn.mean(dim=0)).abs().max() < error


def test_a_latent_without_a_frame_has_content_but_no_pose():
    q = gaussian(Representation((2, 0, 1)))
    assert not q.has_pose and gaussian().has_pose
    assert torch.equal(q.content.loc, q.loc[:, 2:])
    with pytest.raises(ValueError, match=r"An angle needs latent.multiplicities\[1\] >= 1"):
        _ = q.pose


def test_objects_of_a_latent_without_position_are_in_the_middle():
    q = gaussian(Representation((2, 1), position=False))
    assert torch.equal(shift_of(q.pose.mode), torch.zeros(N, 2))
    torch.testing.assert_close(q.pose.position_scale, torch.ones(N, 2))  # to a pixel
    u = q.loc[:, q.representation.slices.frame]
    torch.testing.assert_close(angle_of(q.pose.mode), torch.atan2(u[:, 1], u[:, 0]))


def test_content_needs_no_copy_of_the_trivial_irrep():
    q = replace(gaussian(Representation((0, 2))), reader=FrameReader(copy=0))
    torch.testing.assert_close(q.content.loc[:, 1], torch.zeros(N))  # the frame itself, turned back
    assert q.content.loc.shape == (N, 4)


def test_another_frame_can_be_read():
    q = replace(gaussian(), reader=FrameReader(copy=0))
    u = q.loc[:, q.representation.slices.frame][:, 2:4]
    other = replace(q, reader=FrameReader(copy=1))
    torch.testing.assert_close(angle_of(other.pose.mode), torch.atan2(u[:, 1], u[:, 0]))
    assert (other.content.loc - q.content.loc).abs().max() > 0.1
    with pytest.raises(ValueError, match="copy must be one of the 2 copies"):
        _ = replace(q, reader=FrameReader(copy=2)).pose


def test_a_settled_posterior_reads_what_many_others_chose():
    """The clearest copy of many latents stands, also where the latents at hand would choose another."""
    many, few = gaussian(), gaussian()
    blurred = many.log_scale.clone()
    first = LATENT.copy_index[LATENT.slices.frame.start]
    blurred[:, first] = 5.0
    many = replace(many, log_scale=blurred)
    assert many.settled().reader == FrameReader(copy=1)
    assert few.settled(many).reader == FrameReader(copy=1)
    u = few.loc[:, LATENT.slices.frame][:, 2:4]
    found = angle_of(few.settled(many).pose.mode)
    torch.testing.assert_close(found, torch.atan2(u[:, 1], u[:, 0]))
    assert posed().settled().cluster is None and not many.shows_symmetry and posed().shows_symmetry


@EVERY
def test_a_condensed_posterior_keeps_what_a_prior_is_fitted_to(made):
    q = made()
    short = q.condensed()
    assert torch.equal(short.mode, q.mode) and torch.equal(short.pose.mode, q.pose.mode)
    assert torch.equal(short.content.log_scale, q.content.log_scale)
    if made is posed:
        assert short.pose.bins.shape == (N, 1, 4) and short.log_prob(q.rsample()).isfinite().all()
