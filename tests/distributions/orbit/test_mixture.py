"""The orbit mixture against its definition, summed over all elements of the grid, in float64."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from eqvae.distributions.orbit import OrbitMixture
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import BY_NAME
from tests.distributions.orbit.planted import (
    LATENT,
    O2,
    SO2,
    TRIVIAL,
    motions,
    planted,
    seeded,
)

LATENTS = [
    Representation((3, 2, 1), position=False),
    Representation((0, 1, 2), position=False),
    Representation((2, 1), sign=2, position=False),
    Representation((0, 0, 1), sign=1, position=False),
    Representation((3,), position=False),
]
GROUPS = [SO2, O2, PlaneMotions.cyclic(8), PlaneMotions.dihedral(4), TRIVIAL]
EVERY_LATENT = pytest.mark.parametrize("latent", LATENTS, ids=str)
EVERY_GROUP = pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)
RANKS = pytest.mark.parametrize("rank", [0, 2])


def vectors(latent: Representation, n: int = 6) -> Tensor:
    return 2 * torch.randn(n, latent.dim, dtype=torch.float64)


def covariances(mixture: OrbitMixture) -> Tensor:
    """S_k, (K, D, D)."""
    return torch.diag_embed(mixture.scale.square()) + mixture.factor @ mixture.factor.mT


def by_definition(mixture: OrbitMixture, v: Tensor, dims: int | None = None) -> Tensor:
    """log p of the first coordinates of v, by normal densities of rho(h)^-1 v for each h."""
    latent, group = mixture.representation, mixture.symmetry
    part, covariance, found = slice(dims), covariances(mixture), []
    for h in mixture.grid():
        back = latent.act(group.inverse(h[None]).expand(len(v), 4), v)[:, part]
        normal = MultivariateNormal(mixture.loc[:, part], covariance[:, part, part])
        found.append(normal.log_prob(back[:, None]) + mixture.logits.log_softmax(0))
    return torch.stack(found).logsumexp((0, 2)) - math.log(len(found))


@EVERY_LATENT
@EVERY_GROUP
@RANKS
def test_the_density_is_its_definition(latent, symmetry, rank):
    mixture, v = planted(latent, symmetry, rank=rank, angles=16), vectors(latent)
    torch.testing.assert_close(mixture.log_prob(v), by_definition(mixture, v), rtol=1e-10, atol=0)


@EVERY_LATENT
@EVERY_GROUP
@RANKS
def test_blocks_are_conditioned_on_those_before_them(latent, symmetry, rank):
    """Each sum of the first of them is the density of those coordinates alone."""
    mixture, v, so_far = planted(latent, symmetry, rank=rank, angles=16), vectors(latent), 0.0
    found = mixture.log_prob_by_block(v)
    assert list(found) == [block.name for block in latent.blocks]
    for block in latent.blocks:
        so_far = so_far + found[block.name]
        expected = by_definition(mixture, v, block.slice.stop)
        torch.testing.assert_close(so_far, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(so_far, mixture.log_prob(v), rtol=1e-12, atol=0)


def test_parts_and_wholes_agree(monkeypatch):
    """Many latents are worked on in parts, which changes nothing; clusters are shares of the joint."""
    mixture, v = planted(rank=1), vectors(LATENT)
    whole, joint = mixture.log_prob(v), mixture.log_joint(v)
    torch.testing.assert_close(joint.logsumexp((0, 2)), whole)
    clusters = joint.logsumexp(0).softmax(1)
    torch.testing.assert_close(mixture.cluster_log_prob(v).exp(), clusters, rtol=0, atol=1e-12)
    monkeypatch.setattr("eqvae.distributions.orbit.mixture.ELEMENTS", 1)
    v = v.repeat(9, 1)  # 54 in parts of 16
    assert mixture.rows == 16
    torch.testing.assert_close(mixture.log_prob(v), whole.repeat(9), rtol=1e-12, atol=0)
    total = sum(mixture.log_prob_by_block(v).values())
    torch.testing.assert_close(total, whole.repeat(9), rtol=1e-12, atol=0)


@EVERY_GROUP
@RANKS
def test_some_components_of_each_latent_are_those_of_all(symmetry, rank):
    mixture, v = planted(LATENTS[2], symmetry, 4, rank, angles=16), vectors(LATENTS[2])
    some = torch.stack([torch.randperm(4, generator=seeded(i))[:2] for i in range(len(v))])
    expected = mixture.log_joint(v).gather(2, some.expand(len(mixture.grid()), -1, -1))
    torch.testing.assert_close(mixture.log_joint_of(v, some), expected, rtol=1e-10, atol=1e-10)


@EVERY_LATENT
@EVERY_GROUP
@RANKS
def test_motions_of_the_grid_leave_the_density_alone(latent, symmetry, rank):
    mixture, v = planted(latent, symmetry, rank=rank, angles=16), vectors(latent)
    before = mixture.log_prob(v)
    for g in mixture.grid():
        after = mixture.log_prob(latent.act(g.expand(len(v), 4), v))
        torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


@RANKS
@pytest.mark.parametrize("symmetry", [SO2, O2], **BY_NAME)
def test_between_grid_angles_the_density_is_invariant_once_the_grid_is_fine(symmetry, rank):
    latent = LATENTS[0]
    mixture, g = (
        planted(latent, symmetry, rank=rank, distance=1.5, scale=0.5),
        motions(symmetry, 40),
    )
    v, errors = mixture.sample(40, seeded()), []
    for angles in (8, 16, 32, 64, 128):
        mixture.angles = angles
        change = mixture.log_prob(latent.act(g, v)) - mixture.log_prob(v)
        errors.append(float(change.abs().max()))
    assert errors[0] > 0.1
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert fine < max(0.5 * coarse, 1e-10)
    assert errors[-1] < 1e-10  # the sum is the integral to rounding


def test_a_plain_mixture_is_not_invariant():
    """Control: without a group the same parameters have another density at every angle."""
    latent = LATENTS[0]
    mixture, v = planted(latent, TRIVIAL), vectors(latent)
    change = mixture.log_prob(latent.act(motions(SO2, len(v)), v)) - mixture.log_prob(v)
    assert change.abs().min() > 0.1


@RANKS
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "blocks"])
def test_gradients_of_latents_and_parameters(rank, whole):
    latent = Representation((1, 1), sign=1, position=False)
    mixture, v = planted(latent, O2, 2, rank, scale=0.6, angles=6), vectors(latent, 3)
    names, values = zip(*mixture.named_parameters(), strict=True)

    def log_prob(v: Tensor, *values: Tensor) -> Tensor:
        if whole:
            given = dict(zip(names, values, strict=True))
            return torch.func.functional_call(mixture, given, (v,))
        return torch.stack(list(mixture.log_prob_by_block(v).values()))

    mixture.forward = mixture.log_prob
    values = [p.detach().clone().requires_grad_(whole and p.numel() > 0) for p in values]
    assert torch.autograd.gradcheck(log_prob, (v.requires_grad_(), *values))


@EVERY_GROUP
@RANKS
def test_the_density_has_mass_one_and_draws_follow_it(symmetry, rank):
    """By importance sampling from a wide normal distribution, to five standard errors."""
    latent = Representation((1, 1), sign=1, position=False)
    mixture, n = planted(latent, symmetry, 2, rank, distance=1, scale=0.6, angles=32), 20_000
    wide = torch.distributions.Normal(torch.zeros(latent.dim).double(), 2.0)
    v = wide.sample((n,))
    log_p = mixture.log_prob(v)
    weight = (log_p - wide.log_prob(v).sum(1)).exp()
    assert abs(weight.mean() - 1) < 5 * weight.std() / math.sqrt(n)
    own = mixture.log_prob(mixture.sample(n, seeded()))
    entropy = weight * log_p
    error = math.hypot(own.std() / math.sqrt(n), entropy.std() / math.sqrt(n))
    assert abs(own.mean() - entropy.mean()) < 5 * error
    assert weight.std() > 0.1  # control: the wide distribution is another one


@RANKS
def test_draws_are_of_their_components_and_uniformly_turned(rank):
    n = 20_000
    mixture = planted(rank=rank, distance=3)
    latent, moving = mixture.representation, mixture.representation.slices.moving
    v = mixture.sample(n, seeded())
    assert v[:, moving].mean(0).abs().max() < 5 * v[:, moving].std(0).max() / math.sqrt(n)
    frame = v[:, latent.frame_columns(0)]
    angle = torch.atan2(frame[:, 1], frame[:, 0])
    for frequency in (1, 2, 3):
        assert (1j * frequency * angle).exp().mean().abs() < 5 / math.sqrt(n)
    share = mixture.cluster_log_prob(v).exp().mean(0)
    weights = mixture.logits.softmax(0)
    assert (share - weights).abs().max() < 5 * 0.5 / math.sqrt(n)
    k = torch.arange(mixture.components).repeat_interleave(2000)
    upright = mixture.draw_upright(k, seeded()).unflatten(0, (-1, 2000))
    size = covariances(mixture).diagonal(dim1=1, dim2=2).sqrt().max()
    assert (upright.mean(1) - mixture.loc).abs().max() < 5 * size / math.sqrt(2000)
    off = upright - mixture.loc[:, None]
    found = off.mT @ off / 2000
    assert (found - covariances(mixture)).abs().max() < 0.15 * size.square()
    of_one = mixture.sample(500, seeded(), component=torch.full((500,), 1))
    assert (mixture.cluster_log_prob(of_one).argmax(1) == 1).double().mean() > 0.99
    assert torch.equal(mixture.draw_upright(k, seeded(), temperature=0.0), mixture.loc[k])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"representation": Representation((1, 1))},
            "must be without a position; .* latent.vector",
        ),
        ({"components": 0}, "components must be at least 1; got 0"),
        ({"rank": -1}, "rank at least 0; got 64 and -1"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        OrbitMixture(**{"representation": LATENTS[0], "symmetry": SO2} | change)
