"""What every posterior offers: content that no motion changes, and a pose that moves with the image."""

import math

import pytest
import torch

from eqvae.distributions import (
    ContentPosterior,
    GaussianPosterior,
    PosedPosterior,
    PosePosterior,
    Posterior,
)
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
    assert torch.equal(moved.content.loc, q.content.loc)
    assert torch.equal(moved.content.log_scale, q.content.log_scale)
    still, expected = moved.pose, q.pose.act(g)
    at = expected.sample()
    torch.testing.assert_close(still.log_prob(at), expected.log_prob(at))
    apart = angle_of(still.mode) - angle_of(expected.mode)
    torch.testing.assert_close(apart.cos(), torch.ones(N))  # equal modulo a whole turn
    torch.testing.assert_close(shift_of(still.mode), shift_of(expected.mode))


def test_the_pose_of_a_gaussian_latent_is_its_own_angle_and_position():
    q = gaussian()
    u = q.loc[:, q.representation.slices.frame][:, :2]
    torch.testing.assert_close(angle_of(q.pose.mode), torch.atan2(u[:, 1], u[:, 0]))
    torch.testing.assert_close(shift_of(q.pose.mode), q.loc[:, :2])
    torch.testing.assert_close(q.pose.position_scale, q.scale[:, :2])
    # bins blur by 0.6 degrees, which shows in no distribution ten times as wide
    wide = GaussianPosterior(LATENT, q.loc, (q.loc.abs().amax() / 5).log().expand_as(q.log_scale))
    torch.testing.assert_close(
        wide.pose.angle_log_density().exp(), wide.angle_log_density().exp(), atol=0, rtol=0.01
    )


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


@pytest.mark.parametrize(
    ("latent", "part", "message"),
    [
        (Representation((0, 1)), "content", "has no content: it holds no copy of psi_0"),
        (Representation((2,)), "pose", r"An angle needs latent.multiplicities\[1\] >= 1"),
        (Representation((2, 1), position=False), "pose", "has no pose: it holds no position"),
    ],
)
def test_what_a_latent_lacks_is_said(latent, part, message):
    with pytest.raises(ValueError, match=message):
        getattr(gaussian(latent), part)


def test_another_frame_can_be_read():
    q = gaussian()
    u = q.loc[:, q.representation.slices.frame][:, 2:4]
    torch.testing.assert_close(angle_of(q.pose_by(1).mode), torch.atan2(u[:, 1], u[:, 0]))
    with pytest.raises(ValueError, match="copy must be one of the 2 copies"):
        q.pose_by(2)
