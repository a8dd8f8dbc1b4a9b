"""Content, pose and cluster that an orbit mixture reads from latents, in float64."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.distributions import GaussianPosterior, rows_of
from eqvae.distributions.orbit import OrbitMixture, OrbitReader
from eqvae.distributions.orbit.fit import refine_grid
from eqvae.symmetry import PlaneMotions, Representation, angle_of, reflection_of, shift_of
from eqvae.symmetry.motions import compose
from tests.cases import BY_NAME, draw
from tests.distributions.orbit.planted import O2, SO2, TRIVIAL, known, motions, planted, seeded

LATENT = Representation((2, 2, 1))
CONTINUOUS = [SO2, O2]
GROUPS = [*CONTINUOUS, PlaneMotions.cyclic(8), PlaneMotions.dihedral(4)]


def posterior(mixture: OrbitMixture, v: Tensor) -> GaussianPosterior:
    """Latents with a position, read by the mixture."""
    latent = mixture.representation
    whole = Representation(latent.multiplicities, latent.sign)
    loc = torch.cat([3 * torch.randn(len(v), 2, dtype=v.dtype), v], 1)
    scale = torch.full((len(v), whole.num_copies), -1.0, dtype=v.dtype)
    return GaussianPosterior(whole, loc, scale, OrbitReader(mixture))


def fine(mixture: OrbitMixture) -> OrbitMixture:
    """With a grid that draws of it need."""
    latent = mixture.representation
    refine_grid(mixture, known(mixture.sample(200, seeded(9)), latent), 0)
    return mixture


def degrees_apart(g: Tensor, other: Tensor) -> Tensor:
    off = angle_of(g) - angle_of(other)
    return torch.rad2deg(torch.atan2(off.sin(), off.cos()).abs())


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
@pytest.mark.parametrize("rank", [0, 2])
def test_pose_moves_with_the_latent_and_nothing_else_does(symmetry, rank):
    """At any angle of a continuous group, though the mixture sums over a grid."""
    mixture = fine(planted(LATENT.vector, symmetry, rank=rank, distance=1.5, scale=0.4))
    q = posterior(mixture, mixture.sample(60, seeded()))
    g = draw(symmetry, 60)
    moved = q.act(g)
    expected = compose(g, q.pose.mode)
    assert degrees_apart(moved.pose.mode, expected).max() < 0.05
    assert torch.equal(reflection_of(moved.pose.mode), reflection_of(expected))
    torch.testing.assert_close(shift_of(moved.pose.mode), shift_of(expected))
    size = q.content.loc.abs().max()
    assert (moved.content.loc - q.content.loc).abs().max() < 2e-3 * size  # 0.05 degrees, twice
    torch.testing.assert_close(moved.content.log_scale, q.content.log_scale)
    assert (moved.cluster.exp() - q.cluster.exp()).abs().max() < 1e-4
    assert (moved.loc - q.loc).abs().max() > 1  # control: the latents did move


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
def test_pose_and_content_are_the_latent(symmetry):
    mixture = fine(planted(LATENT.vector, symmetry, scale=0.5))
    q = posterior(mixture, mixture.sample(20, seeded()))
    still = torch.cat([torch.zeros(20, 2, dtype=torch.float64), q.content.loc], 1)
    torch.testing.assert_close(LATENT.act(q.pose.mode, still), q.loc)
    torch.testing.assert_close(q.cluster.exp().sum(1), torch.ones(20, dtype=torch.float64))
    assert q.has_pose and q.shows_symmetry
    assert q.pose.reflections == symmetry.reflections


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
def test_planted_turns_and_kinds_are_read(symmetry):
    mixture = fine(planted(LATENT.vector, symmetry, distance=3, scale=0.1))
    k = torch.arange(60) % mixture.components
    u, g = mixture.draw_upright(k, seeded()), motions(symmetry, 60)
    q = posterior(mixture, LATENT.vector.act(g, u))
    assert torch.equal(q.cluster.argmax(1), k)
    assert torch.equal(reflection_of(q.pose.mode), reflection_of(g))
    most = 0.01 if symmetry.is_finite else 5 * math.degrees(0.1 / 3)  # noise turns objects a little
    assert degrees_apart(q.pose.mode, g).max() < most
    density = rows_of(q, slice(5)).pose.angle_log_density(360).exp()
    assert (density.mean(1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("symmetry", CONTINUOUS, **BY_NAME)
def test_the_likeliest_of_many_kinds_are_enough(symmetry, monkeypatch):
    """Turns are read from four of twelve kinds; from all of them they are the same."""
    mixture = fine(planted(LATENT.vector, symmetry, 12, distance=1.5, scale=0.4))
    v = mixture.sample(60, seeded())
    few = posterior(mixture, v)
    found = few.pose.mode, few.cluster
    monkeypatch.setattr("eqvae.distributions.orbit.turns._LIKELIEST", 12)
    every = posterior(mixture, v)
    assert degrees_apart(found[0], every.pose.mode).median() < 0.05
    assert (degrees_apart(found[0], every.pose.mode) < 1).double().mean() > 0.9
    assert (found[1].exp() - every.cluster.exp()).abs().max() < 0.01


def test_a_coarse_grid_would_tell_the_angle_by_its_steps(monkeypatch):
    """Control: without the parabola the error is half a step."""
    mixture = planted(LATENT.vector, SO2, scale=0.4, distance=1.5, angles=32)
    q = posterior(mixture, mixture.sample(60, seeded()))
    g = draw(SO2, 60)
    assert degrees_apart(q.act(g).pose.mode, compose(g, q.pose.mode)).max() < 0.5
    monkeypatch.setattr("eqvae.distributions.orbit.turns._STEPS", 0)
    q = GaussianPosterior(q.representation, q.loc, q.log_scale, q.reader)
    assert degrees_apart(q.act(g).pose.mode, compose(g, q.pose.mode)).max() > 1


def symmetric(order: int) -> OrbitMixture:
    """One kind that looks the same after a turn by 360 / order degrees: only psi_order is not zero."""
    latent = Representation((1, *[1] * order), position=False)
    mixture = planted(latent, SO2, 1, scale=0.3)
    mixture.loc.zero_()
    mixture.loc[0, -2] = 2.0
    return mixture


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_symmetric_object_has_as_many_peaks(order):
    mixture = fine(symmetric(order))
    v = mixture.representation.act(motions(SO2, 8), mixture.loc.expand(8, -1))
    q = posterior(mixture, v)
    assert torch.equal(q.pose.symmetry_order(), torch.full((8,), order))
    density = q.pose.angle_log_density(360).exp()
    shifted = density.roll(360 // order, 1)
    torch.testing.assert_close(shifted, density, rtol=0.01, atol=0.01 * float(density.max()))
    assert density.max() > 2  # control: it is not flat
    frame = GaussianPosterior(q.representation, q.loc, q.log_scale)  # control: a frame has one mode
    assert not frame.shows_symmetry
    assert (frame.pose.symmetry_order() <= 1).all()


@pytest.mark.parametrize("symmetry", CONTINUOUS, **BY_NAME)
def test_a_round_object_has_no_direction(symmetry):
    """Kinds that differ in psi_0 alone: every angle is as likely, 324 degrees hold 0.9 of the mass."""
    mixture = planted(LATENT.vector, symmetry, scale=0.5)
    mixture.loc[:, LATENT.vector.slices.moving] = 0.0
    q = posterior(fine(mixture), mixture.sample(20, seeded()))
    assert (q.pose.credible_angles(0.9) - 324).abs().max() < 1
    assert torch.equal(q.pose.symmetry_order(), torch.zeros(20, dtype=torch.int64))
    assert q.cluster.exp().amax(1).mean() > 0.8  # they are told apart all the same


def test_latents_without_a_first_frequency_have_a_pose_too():
    """A frame needs psi_1; a mixture reads any frequency, up to its symmetry."""
    latent = Representation((1, 0, 2), position=False)
    mixture = fine(planted(latent, SO2, 2, scale=0.2))
    q = posterior(mixture, mixture.sample(20, seeded()))
    g = draw(SO2, 20)
    off = degrees_apart(q.act(g).pose.mode, compose(g, q.pose.mode))
    assert torch.minimum(off, 180 - off).max() < 0.05
    assert (q.pose.symmetry_order() == 2).all()
    assert not GaussianPosterior(q.representation, q.loc, q.log_scale).has_pose


def test_a_mixture_without_a_group_tells_kinds_and_no_angle():
    mixture = planted(LATENT.vector, TRIVIAL, scale=0.2)
    k = torch.arange(30) % 3
    q = posterior(mixture, mixture.sample(30, seeded(), component=k))
    assert torch.equal(q.cluster.argmax(1), k)
    assert torch.equal(q.content.loc, q.loc[:, LATENT.slices.vector])
    assert torch.equal(shift_of(q.pose.mode), q.loc[:, LATENT.slices.position])
    assert (q.pose.credible_angles(0.9) - 324).abs().max() < 1
    moved = q.act(draw(SO2, 30))
    assert (
        moved.content.loc - q.content.loc
    ).abs().max() > 1  # control: the group is what makes the laws


def test_single_precision_reads_the_same():
    mixture = fine(planted(LATENT.vector, SO2, rank=2, scale=0.3, distance=1.5))
    q = posterior(mixture, mixture.sample(40, seeded()))
    low = posterior(mixture.float(), q.loc[:, LATENT.slices.vector].float())
    assert degrees_apart(low.pose.mode.double(), q.pose.mode).max() < 0.05
    assert (low.cluster.exp() - q.cluster.exp()).abs().max() < 1e-3
    assert low.pose.log_weights.dtype == low.cluster.dtype == torch.float32
