"""Expectation and maximisation on latents whose mixture is known."""

import pytest
import torch
from torch import Tensor

from eqvae.distributions.orbit import OrbitMixture
from eqvae.distributions.orbit.em import expectation_maximisation, maximise, moments, start
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import BY_NAME
from tests.distributions.orbit.planted import LATENT, O2, SO2, TRIVIAL, known, planted, seeded

GROUPS = [SO2, O2, PlaneMotions.cyclic(8), PlaneMotions.dihedral(4), TRIVIAL]


def fresh(like: OrbitMixture, components: int) -> OrbitMixture:
    return OrbitMixture(like.representation, like.symmetry, components, 0).double()


def orbit_distance(mixture: OrbitMixture, v: Tensor) -> Tensor:
    """min over h of |v - rho(h) mu_k|, (B, K)."""
    grid, act = mixture.symmetry.grid(720), mixture.representation.act
    orbits = [act(grid, mu.expand(len(grid), -1)) for mu in mixture.loc]
    return torch.stack([torch.cdist(v, orbit).amin(1) for orbit in orbits], 1)


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
def test_every_step_on_all_latents_makes_them_likelier(symmetry, monkeypatch):
    monkeypatch.setattr("eqvae.distributions.orbit.em._SHARED", 0.0)  # maximum likelihood alone
    latent = Representation((2, 1, 1), sign=1, position=False)
    truth = planted(latent, symmetry, 3, scale=0.5, angles=32)
    latents = known(truth.sample(400, seeded()), latent)
    mixture, total = fresh(truth, 4), latents.spread(truth.is_trivial)
    mixture.angles = 32
    start(mixture, latents.loc, total, seeded())
    likely = []
    for _ in range(25):
        found = moments(mixture, latents.loc)
        maximise(mixture, found, total, len(latents))
        likely.append(float(found.log_prob))
    steps = torch.tensor(likely).diff()
    assert (steps > -1e-9).all()
    assert likely[-1] > likely[0] + 0.5
    assert likely[-1] > float(truth.log_prob(latents.loc).mean()) - 0.1


@pytest.mark.parametrize("symmetry", [SO2, O2, TRIVIAL], **BY_NAME)
def test_planted_components_are_found(symmetry):
    """Means up to a turn, weights, and variances to 20 %: 500 latents and more for each."""
    truth = planted(symmetry=symmetry, components=4, distance=3, scale=0.4)
    k = torch.multinomial(truth.logits.softmax(0), 3000, replacement=True, generator=seeded())
    latents = known(truth.sample(len(k), seeded(), component=k))
    mixture = fresh(truth, 4)
    expectation_maximisation(mixture, latents, 15, seeded())
    mine = mixture.cluster_log_prob(latents.loc).argmax(1)
    table = torch.zeros(4, 4).index_put_((k, mine), torch.ones(len(k)), accumulate=True)
    assert table.amax(0).sum() / len(k) > 0.999  # purity
    match = table.argmax(1)
    assert match.unique().numel() == 4
    away = orbit_distance(mixture, truth.loc)[torch.arange(4), match]
    assert away.max() < 0.15  # 0.4 / sqrt(500) in each of 8 coordinates, and half a grid angle
    ratio = (mixture.log_scale[match] - truth.log_scale).mul(2).exp()
    assert (ratio - 1).abs().max() < 0.2
    weights = torch.stack([m.logits.softmax(0) for m in (mixture, truth)])
    assert (weights[0, match] - weights[1]).abs().max() < 0.03


def test_without_the_group_turned_latents_are_not_found():
    """Control: a plain mixture of as many components explains the same latents far worse."""
    truth = planted(components=4, distance=3, scale=0.4)
    latents, likely = known(truth.sample(2000, seeded())), []
    for symmetry in (SO2, TRIVIAL):
        mixture = OrbitMixture(LATENT, symmetry, 4).double()
        expectation_maximisation(mixture, latents, 15, seeded())
        likely.append(float(mixture.log_prob(latents.loc).detach().mean()))
    assert likely[0] > likely[1] + 1
    assert likely[0] > float(truth.log_prob(latents.loc).mean()) - 0.1


@pytest.mark.parametrize("refined", [True, False])
def test_narrow_components_keep_their_width(refined, monkeypatch):
    """The grid becomes finer where latents tell the angle; control: a coarse one widens what turns fast."""
    latent = Representation((1, 1, 1, 1, 1, 1), position=False)
    truth = planted(latent, components=2, distance=3, scale=0.2, angles=512)
    latents = known(truth.sample(600, seeded()), latent)
    if not refined:
        monkeypatch.setattr("eqvae.distributions.orbit.mixture.FINEST", 64)
    mixture = fresh(truth, 2)
    expectation_maximisation(mixture, latents, 15, seeded())
    match = orbit_distance(mixture, truth.loc).argmin(1)
    ratio = (mixture.log_scale[match] - truth.log_scale).mul(2).exp()
    assert mixture.angles >= 256 if refined else mixture.angles == 64
    assert (ratio.max() < 1.3) == refined


def test_draws_make_wider_components_than_means():
    truth = planted(components=2, distance=3, scale=0.2)
    v, widths = truth.sample(1000, seeded()), []
    for scale in (0.0, 0.5):
        mixture = fresh(truth, 2)
        expectation_maximisation(mixture, known(v, scale=scale), 12, seeded())
        widths.append(mixture.log_scale.mul(2).exp().mean())
    assert abs(widths[1] - widths[0] - 0.25) < 0.05  # the variance of q comes on top


def test_batches_of_many_latents_lead_where_all_of_them_lead(monkeypatch):
    truth = planted(components=3, distance=3, scale=0.4)
    latents, likely = known(truth.sample(2000, seeded())), []
    for batch, steps in ((4096, 15), (200, 40)):
        monkeypatch.setattr("eqvae.distributions.orbit.em.BATCH", batch)
        mixture = fresh(truth, 3)
        expectation_maximisation(mixture, latents, steps, seeded())
        likely.append(float(mixture.log_prob(latents.loc).detach().mean()))
    assert abs(likely[0] - likely[1]) < 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_components_that_no_latent_wants_stay_finite(dtype):
    truth = planted(components=2, distance=5, scale=0.1)
    v = truth.sample(2, seeded()).to(dtype).repeat(20, 1)  # two objects in all
    mixture = OrbitMixture(LATENT, SO2, 12).to(dtype)
    expectation_maximisation(mixture, known(v), 10, seeded())
    assert all(p.isfinite().all() for p in mixture.parameters())
    assert mixture.log_prob(v).isfinite().all()
    assert mixture.log_prob(10 + v).isfinite().all()
