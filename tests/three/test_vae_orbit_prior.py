"""Orbit priors in space: the integral over SO(3) in closed form, its laws, and what is read with it."""

import math

import numpy as np
import pytest
import torch

from eqvae.config import build
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.gaussian import GaussianPosterior, GaussianPrior
from eqvae.distributions.orbit import Latents, OrbitFit
from eqvae.symmetry.space import SpaceRotations, inversion
from eqvae.symmetry.space_motions import SpaceMotions, pose_distance, space_motion
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae import (
    PlainStructureDecoder,
    PlainStructureEncoder,
    PlainStructureVAE,
    SpaceOrbitMixture,
    SpaceOrbitPosedPrior,
    SpaceOrbitPrior,
)
from eqvae.three.vae.orbit_mixture import align_frames, fit_components, moments

VECTOR = SpaceRepresentation.parse("2x0e + 1x0o + 2x1o + 1e")
LATENT = SpaceRepresentation.parse("position + 2x0e + 1x0o + 2x1o + 1e")
GROUPS = pytest.mark.parametrize("parity", [False, True], ids=["SO(3)", "O(3)"])


@torch.no_grad()
def mixture(symmetry, components=3, seed=0):
    found = SpaceOrbitMixture(VECTOR, symmetry, components).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter, size, middle in ((found.loc, 2.0, 0.0), (found.log_scale, 0.2, -0.3)):
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.copy_(middle + size * drawn)
    found.logits.copy_(torch.arange(components) * 0.5)
    return found


def draws(found, n, seed=1):
    return found.sample(n, torch.Generator().manual_seed(seed))


def posterior(loc, scale=0.05):
    return GaussianPosterior(
        LATENT, loc, torch.full((len(loc), LATENT.num_copies), math.log(scale))
    )


def product_grid(group, count):
    """Rotations z y z with Gauss's rule in the middle, and the log of their weights: for smooth functions."""
    height, weight = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    turn = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    a, b, c = (x.flatten() for x in torch.meshgrid(turn, height.acos(), turn, indexing="ij"))
    y, z = torch.eye(3, dtype=torch.float64)[1:]
    first, tilt, last = (group.exp(x[:, None] * axis) for x, axis in ((a, z), (b, y), (c, z)))
    g = group.compose(group.compose(first, tilt), last)
    log_w = (weight / (2 * count**2)).log()[None, :, None].expand(count, -1, count).flatten()
    if not group.parity:
        return g, log_w
    other = group.compose(inversion(dtype=g.dtype).expand(len(g), -1), g)
    return torch.cat([g, other]), torch.cat([log_w, log_w]) - math.log(2)


@GROUPS
def test_the_closed_form_is_the_sum_over_a_grid_of_rotations(parity):
    group = SpaceRotations(parity)
    found = mixture(group)
    found.loc.mul_(0.4)  # what is sharper needs a finer grid
    v = draws(found, 6)

    def summed(count):
        g, log_w = product_grid(group, count)
        orbits = torch.stack([VECTOR.act(g, one.expand(len(g), -1)) for one in found.loc])
        away = (v[:, None, None] - orbits) / found.scale[:, None]
        log_p = (-0.5 * away.square() - 0.5 * math.log(2 * math.pi)).sum(3) + log_w
        return log_p.logsumexp(2) - found.scale.log().sum(1) + found.logits.log_softmax(0)

    fine, coarse = summed(30), summed(4)
    assert torch.allclose(found.log_prob(v), fine.logsumexp(1), atol=1e-7, rtol=0)
    assert (found.log_prob(v) - coarse.logsumexp(1)).abs().max() > 0.1
    assert torch.allclose(found.cluster_log_prob(v), fine.log_softmax(1), atol=1e-7, rtol=0)


@GROUPS
def test_the_density_is_the_same_along_orbits_and_splits_by_block(parity):
    group = SpaceRotations(parity)
    found, still, v = mixture(group), mixture(None), draws(mixture(group), 20)
    moved = VECTOR.act(group.sample(20, generator=torch.Generator().manual_seed(2)).double(), v)
    assert torch.allclose(found.log_prob(moved), found.log_prob(v), atol=1e-9)
    assert (still.log_prob(moved) - still.log_prob(v)).abs().max() > 1
    assert torch.allclose(sum(found.log_prob_by_block(v).values()), found.log_prob(v), atol=1e-9)


@GROUPS
def test_the_gradient_of_the_density_is_that_of_the_sums_of_em(parity):
    """d E log p / d mu_k = (sum r rho(h)^-1 v - n_k mu_k) / s_k^2, Fisher's identity."""
    found = mixture(SpaceRotations(parity))
    v = draws(found, 30)
    sums = moments(found, v)
    found.loc.requires_grad_(True)
    (slope,) = torch.autograd.grad(found.log_prob(v).mean(), found.loc)
    wanted = (sums.first - sums.weight[:, None] * found.loc.detach()) / found.scale.square()
    assert torch.allclose(slope, wanted, atol=1e-9)
    assert float(wanted.abs().max()) > 0.1


def test_em_finds_what_latents_were_drawn_from():
    group = SpaceRotations()
    true = mixture(group)
    v, more = draws(true, 600), draws(true, 400, seed=5)
    latents = Latents(VECTOR, v, torch.zeros(600, VECTOR.num_copies, dtype=v.dtype))
    found, one = (fit_components(latents, group, k, 0, seed=0) for k in (3, 1))
    wanted = float(true.log_prob(more).mean())
    assert float(found.log_prob(more).mean()) > wanted - 0.15
    assert float(one.log_prob(more).mean()) < wanted - 1
    share = found.cluster_log_prob(more).argmax(1), true.cluster_log_prob(more).argmax(1)
    table = torch.zeros(3, 3).index_put_(share, torch.ones(()), accumulate=True)
    assert float(table.amax(1).sum()) > 0.95 * 400


@pytest.mark.parametrize("turned", [True, False])
def test_held_out_latents_say_whether_they_lie_on_orbits(turned):
    group = SpaceRotations()
    v = draws(mixture(group if turned else None), 100)
    scale = torch.zeros(50, VECTOR.num_copies, dtype=v.dtype)
    known, held_out = (Latents(VECTOR, part, scale) for part in v.split(50))
    fit = OrbitFit(components=1, seed=0)
    chosen = fit.choose(fit_components, known, held_out, [group, None])
    assert chosen.symmetry == (group if turned else None)


@GROUPS
def test_pose_and_content_follow_the_motion_of_a_latent(parity):
    group = SpaceRotations(parity)
    prior = SpaceOrbitPrior(LATENT, group, 3).double()
    prior.mixture = mixture(group)
    z = prior.sample(10, torch.Generator().manual_seed(3))
    q = posterior(z)
    q = GaussianPosterior(LATENT, q.loc, q.log_scale.double(), prior.reader)
    g = SpaceMotions().sample(10, shift=3.0, generator=torch.Generator().manual_seed(4)).double()
    moved = q.act(g)
    assert torch.allclose(moved.content.loc, q.content.loc, atol=1e-6)
    assert torch.allclose(moved.cluster, q.cluster, atol=1e-9)
    away = pose_distance(moved.pose.mode, SpaceMotions().compose(g, q.pose.mode))
    assert float(away.degrees.max()) < 1e-3 and float(away.shift.max()) < 1e-9
    still = SpaceOrbitPrior(LATENT, None, 3).double()
    unread = GaussianPosterior(LATENT, z, q.log_scale, still.reader)
    assert not unread.has_pose
    assert (unread.act(g).content.loc - unread.content.loc).abs().max() > 0.1
    with pytest.raises(ValueError, match="no pose can be read: .* model=se3"):
        _ = unread.pose
    if parity:
        mirrored = q.act(space_motion(inversion(dtype=torch.float64).expand(10, -1)))
        assert torch.allclose(mirrored.content.loc, q.content.loc, atol=1e-6)


def test_latents_without_vectors_have_no_frames_to_align():
    still = SpaceRepresentation.parse("3x0e")
    v = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    found = SpaceOrbitMixture(still, SpaceRotations(), 2).requires_grad_(False)
    align_frames(found, Latents(still, v, torch.zeros(20, 3)))
    assert float(found.overlap.sum()) == pytest.approx(20, abs=1e-3)


def test_without_a_fitted_prior_no_pose_is_read():
    domain, latent = Points(4), SpaceRepresentation.parse("position + 2x0e + 2x1o")
    torch.manual_seed(0)
    parts = (
        kind(domain, latent, hidden=4) for kind in (PlainStructureEncoder, PlainStructureDecoder)
    )
    model = PlainStructureVAE(*parts, GaussianPrior(latent), GaussianLikelihood())
    q = model.encode(Batch(torch.randn(3, 1, 4, 3)))
    assert not q.has_pose and q.cluster is None
    assert torch.equal(q.content.loc, q.loc[:, 3:])
    with pytest.raises(ValueError, match="no pose can be read: .* objective=elbo_soft, or take"):
        _ = q.pose
    model.prior = SpaceOrbitPrior(latent, SpaceRotations(), 2)
    assert model.encode(Batch(torch.randn(3, 1, 4, 3))).has_pose


def test_the_kl_is_the_sum_of_its_blocks_and_at_least_zero_on_average():
    prior = SpaceOrbitPrior(LATENT, SpaceRotations(), 3).double()
    prior.mixture = mixture(SpaceRotations())
    q = posterior(prior.sample(300, torch.Generator().manual_seed(0)))
    z = q.rsample(torch.Generator().manual_seed(1))
    parts = prior.kl(q, z)
    assert list(parts) == [block.name for block in LATENT.blocks]
    assert torch.allclose(sum(parts.values()), prior.kl_in_all(q, z), atol=1e-9)
    assert float(sum(parts.values()).mean()) > 0


@pytest.mark.parametrize("mirrors", [True, False])
def test_both_hands_are_alike_where_mirror_images_count(mirrors):
    latent = SpaceRepresentation.parse("position + 3x0e + 2x0o + 2x1o")
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(400, 5, generator=generator)
    c[:, 3:] = c[:, 3:].abs() + 2  # one hand only
    q = ContentPosterior(c, torch.full_like(c, -3.0))
    prior = SpaceOrbitPosedPrior.fitted(
        _Posed(latent, q), _Posed(latent, q), OrbitFit(2, 2), SpaceMotions(mirrors), 20.0
    )
    z = prior.sample(50, generator)
    mirrored = latent.act(space_motion(inversion().expand(50, -1)), z)
    same = torch.allclose(prior.log_prob(mirrored), prior.log_prob(z), atol=1e-4)
    assert same == mirrors
    hands = (prior.sample(200, generator)[:, 6] > 0).float().mean()
    assert 0.3 < hands < 0.7 if mirrors else hands > 0.95
    again = build(prior.description(), path="prior", constructors_only=True)
    again.load_state_dict(prior.state_dict())
    assert torch.equal(again.log_prob(z), prior.log_prob(z))
    assert prior.draw_upright(torch.tensor([0, 1]), generator).shape == (2, latent.dim)


class _Posed:
    def __init__(self, representation, content):
        self.representation, self.content = representation, content


def test_what_has_no_closed_form_is_refused():
    with pytest.raises(ValueError, match="0e, 0o, 1o and 1e; got 1x0e .*2e. Set prior=normal"):
        SpaceOrbitMixture(SpaceRepresentation.parse("0e + 2e"), SpaceRotations(), 2)
    with pytest.raises(ValueError, match="without a position"):
        SpaceOrbitMixture(LATENT, SpaceRotations(), 2)
