"""Covariances in the frames of components: diagonals by copy and a few factors, in float64."""

import pytest
import torch
from torch import Tensor

from eqvae.distributions.orbit import OrbitMixture
from eqvae.distributions.orbit.em import expectation_maximisation
from eqvae.distributions.orbit.factors import draw_frames, fit_factors, split_covariance
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import BY_NAME
from tests.distributions.orbit.planted import LATENT, O2, SO2, TRIVIAL, known, planted, seeded

GROUPS = [SO2, O2, PlaneMotions.dihedral(4), TRIVIAL]


def covariances(mixture: OrbitMixture) -> Tensor:
    return torch.diag_embed(mixture.scale.square()) + mixture.factor @ mixture.factor.mT


def fitted(like: OrbitMixture, v: Tensor, rank: int, components: int | None = None) -> OrbitMixture:
    mixture = OrbitMixture(like.representation, like.symmetry, components or like.components, rank)
    generator, latents = seeded(), known(v, like.representation)
    expectation_maximisation(mixture.double(), latents, 12, generator)
    for _ in range(2):
        fit_factors(mixture, latents, generator)
    return mixture.requires_grad_(False)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_planted_covariance_is_split_into_itself(rank):
    truth = planted(components=4, rank=rank, scale=0.5)
    whole = covariances(truth)
    scale, factor = split_covariance(LATENT, whole, rank)
    found = torch.diag_embed(scale.square()[:, LATENT.copy_index]) + factor @ factor.mT
    size = whole.diagonal(dim1=1, dim2=2).mean()
    assert (found - whole).abs().max() < 0.1 * size  # eight rounds of the principal-factor method
    assert factor.shape == (4, LATENT.dim, rank)
    if rank:
        diagonal = torch.diag_embed(whole.diagonal(dim1=1, dim2=2))
        assert (diagonal - whole).abs().max() > 0.5 * size  # control: it is not diagonal


def test_traces_by_copy_are_kept():
    """Whatever the covariance, each copy keeps its variance."""
    root = torch.randn(3, LATENT.dim, LATENT.dim, dtype=torch.float64)
    whole = root @ root.mT / LATENT.dim
    scale, factor = split_covariance(LATENT, whole, 2)
    found = scale.square()[:, LATENT.copy_index] + factor.square().sum(2)
    index = LATENT.copy_index.expand(3, -1)
    sums = [torch.zeros(3, LATENT.num_copies).double().scatter_add_(1, index, x)
            for x in (found, whole.diagonal(dim1=1, dim2=2))]  # fmt: skip
    torch.testing.assert_close(*sums, rtol=1e-9, atol=1e-9)
    assert (scale > 0).all()


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
def test_drawn_frames_bring_latents_to_their_components(symmetry):
    truth = planted(LATENT, symmetry, distance=3, scale=0.2)
    k = torch.arange(300) % 3
    found = draw_frames(truth, truth.sample(300, seeded(), component=k), seeded())
    assert torch.equal(found.component, k)
    off = (found.u - truth.loc[k]) / truth.scale[k]
    assert off.square().mean() < 1.5  # of a standard normal variable, and half a step of the grid
    h = truth.grid()[found.element].double()
    v = LATENT.act(h, found.u)
    torch.testing.assert_close(truth.log_prob(v), truth.log_prob(found.u), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
def test_correlated_spread_is_found_and_makes_held_out_latents_likelier(symmetry):
    truth = planted(LATENT, symmetry, 2, rank=2, distance=3, scale=0.3)
    with torch.no_grad():
        truth.factor.mul_(1.5)
    v, held_out = truth.sample(2000, seeded()), truth.sample(1500, seeded(5))
    diagonal, factors = (fitted(truth, v, rank) for rank in (0, 2))
    likely = [float(m.log_prob(held_out).mean()) for m in (diagonal, factors, truth)]
    assert likely[1] > likely[0] + 1
    # correlated spread blurs the turns of a continuous group: two rounds are not the last word
    assert likely[1] > likely[2] - (0.1 if symmetry.is_finite else 0.6)


def test_factors_of_uncorrelated_spread_help_nobody():
    """Control: they cost little and win nothing."""
    truth = planted(components=2, distance=3, scale=0.3)
    v, held_out = truth.sample(2000, seeded()), truth.sample(1500, seeded(5))
    likely = [float(fitted(truth, v, rank).log_prob(held_out).mean()) for rank in (0, 2)]
    assert likely[0] - 0.05 < likely[1] < likely[0] + 0.01


def test_components_of_few_latents_share_the_covariance_of_all():
    """What no latent belongs to has the mean covariance; nothing is singular."""
    truth = planted(components=2, distance=4, scale=0.3)
    v = truth.sample(30, seeded())
    mixture = fitted(truth, v, rank=4, components=12)
    assert all(p.isfinite().all() for p in mixture.parameters())
    assert torch.linalg.eigvalsh(covariances(mixture)).min() > 0
    assert mixture.log_prob(truth.sample(50, seeded(3))).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_latents_that_are_one_point_make_a_narrow_component(dtype):
    latent = Representation((2, 1), position=False)
    v = torch.tensor([[1.0, -2.0, 0.5, 1.5]], dtype=dtype).repeat(20, 1)
    mixture = OrbitMixture(latent, SO2, 2, 2).to(dtype)
    expectation_maximisation(mixture, known(v, latent), 10, seeded())
    for _ in range(2):
        fit_factors(mixture, known(v, latent), seeded())
    assert all(p.isfinite().all() for p in mixture.parameters())
    assert mixture.log_prob(v).isfinite().all()
