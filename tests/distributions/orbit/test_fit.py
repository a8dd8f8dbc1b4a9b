"""The whole fit: how many components, which group, and what happens to poor latents."""

import pytest
import torch
from torch import Tensor

from eqvae.distributions.orbit import Latents, OrbitFit, OrbitMixture
from eqvae.distributions.orbit.fit import fit_components, refine_grid
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import BY_NAME
from tests.distributions.orbit.planted import LATENT, O2, SO2, TRIVIAL, known, planted, seeded


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    """Covariances from a tenth of the draws: no law here depends on how many there are."""
    monkeypatch.setattr("eqvae.distributions.orbit.factors._LEAST", 1600)


def drawn(truth: OrbitMixture, n: int, seed: int = 0, scale: float = 0.0) -> Latents:
    return known(truth.sample(n, seeded(seed)), truth.representation, scale)


def refused(message: str, latents: Latents, components: int | None = None) -> None:
    with pytest.raises(ValueError, match=message):
        OrbitFit(components)(latents, latents[:50], [SO2])


def test_held_out_latents_choose_the_number_of_components():
    """Of planted mixtures of 1 and of 8, trying 1, 10, 20, ..."""
    for planted_kinds, fewest, most in ((1, 1, 1), (6, 10, 20)):
        truth = planted(components=planted_kinds, distance=3, scale=0.3)
        mixture = OrbitFit(rank=0)(drawn(truth, 450), drawn(truth, 300, 5), [SO2])
        assert fewest <= mixture.components <= most
        test = truth.sample(300, seeded(6))
        assert mixture.log_prob(test).mean() > truth.log_prob(test).mean() - 0.5
    assert OrbitFit(components=3)(drawn(truth, 300), drawn(truth, 50), [SO2]).components == 3


@pytest.mark.parametrize("symmetry", [SO2, O2, TRIVIAL], **BY_NAME)
def test_the_fit_is_repeatable_and_has_no_gradients(symmetry):
    rank, truth = 2, planted(symmetry=symmetry, components=2, rank=1)
    latents, fit = drawn(truth, 200, scale=0.1), OrbitFit(2, rank)
    a, b = (fit(latents, latents[:50], [symmetry]) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not any(p.requires_grad for p in a.parameters())
    assert a.symmetry == symmetry and a.rank == rank
    other = OrbitFit(2, rank, seed=1)(latents, latents[:50], [symmetry])
    assert not torch.equal(a.loc, other.loc)


def test_the_fit_leaves_random_numbers_alone():
    truth = planted(components=2)
    latents, before = drawn(truth, 100, scale=0.1), torch.get_rng_state()
    OrbitFit(2, 0)(latents, latents[:50], [SO2, TRIVIAL])
    assert torch.equal(before, torch.get_rng_state())


def test_latents_say_on_whose_orbits_they_lie():
    """Turned objects on those of SO(2); objects that all stand upright on none."""
    truth = planted(components=3, distance=2, scale=0.3)
    turned = drawn(truth, 300), drawn(truth, 150, 5)
    u = truth.draw_upright(torch.arange(450) % 3, seeded())
    upright = known(u[:300]), known(u[300:])
    both = [SO2, TRIVIAL]
    assert OrbitFit(3, 0)(*turned, both).symmetry == SO2
    assert OrbitFit(3, 0)(*upright, both).symmetry == TRIVIAL
    assert OrbitFit(3, 0)(*upright, [SO2]).symmetry == SO2  # who asks for one group gets it


def test_chance_alone_is_no_reason_to_leave_the_group():
    """Round noise is as likely on any orbits: the first group stays, whichever it is."""
    for seed in range(3):
        v = torch.randn(150, LATENT.dim, generator=seeded(seed), dtype=torch.float64)
        latents, held_out = known(v[:100]), known(v[100:])
        assert OrbitFit(1, 0)(latents, held_out, [SO2, TRIVIAL]).symmetry == SO2


def test_grids_are_refined_until_the_sum_is_the_integral():
    wide, narrow = (planted(distance=2, scale=scale, angles=16) for scale in (1.0, 0.1))
    for mixture in (wide, narrow):
        refine_grid(mixture, drawn(mixture, 200), 0)
    assert 16 <= wide.angles < narrow.angles <= 512
    v = wide.sample(100, seeded(3))
    before = wide.log_prob(v)
    wide.angles = 512
    assert (wide.log_prob(v) - before).abs().max() < 1e-4
    finite = planted(symmetry=PlaneMotions.cyclic(4), angles=16)
    refine_grid(finite, drawn(finite, 50), 0)
    assert finite.angles == 16


def test_more_components_than_latents_are_refused():
    latents = drawn(planted(), 20)
    refused(
        r"components must be from 1 to the 20 latents that they are fitted to; got 30\. Ask",
        latents,
        30,
    )


def test_components_are_a_positive_number():
    with pytest.raises(ValueError, match="components must be at least 1, or null .* got 0"):
        OrbitFit(components=0)


def test_rank_is_no_negative_number():
    with pytest.raises(ValueError, match="rank must be at least 0; got -1"):
        OrbitFit(rank=-1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_refused(bad):
    latents = drawn(planted(), 60)
    latents.loc[7, 3] = bad
    refused("latents must be finite; 1 of 60 are not, the first in row 7. The model has", latents)


def test_scales_that_are_not_finite_are_refused():
    latents = drawn(planted(), 60)
    latents.scale[3:5] = float("nan")
    refused("latents must be finite; 2 of 60 are not, the first in row 3", latents)


def test_no_latents_are_refused():
    refused("latents must hold at least one image; got none", drawn(planted(), 5)[:0])


def finite(mixture: OrbitMixture, v: Tensor) -> None:
    """And in double precision a density: its blocks add up, and elsewhere it is lower."""
    assert all(p.isfinite().all() for p in mixture.parameters())
    assert mixture.log_prob(v).isfinite().all()
    assert mixture.log_prob(v + 1).isfinite().all()
    assert mixture.sample(10, seeded()).isfinite().all()
    assert mixture.cluster_log_prob(v).isfinite().all()
    v = v.double()
    total = sum(mixture.log_prob_by_block(v).values())
    torch.testing.assert_close(total, mixture.log_prob(v), rtol=1e-7, atol=1e-7)
    assert mixture.log_prob(v).mean() > mixture.log_prob(v + 10).mean()


TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@TYPES
def test_collapsed_latents_have_few_components(dtype):
    """Nothing but noise: q is N(0, I) for every image."""
    zero = torch.zeros(400, LATENT.dim, dtype=dtype)
    mixture = OrbitFit()(known(zero, scale=1.0), known(zero[:300], scale=1.0), [SO2])
    finite(mixture, torch.randn(50, LATENT.dim, dtype=dtype))
    assert mixture.components <= 10
    normal = torch.distributions.Normal(0, 1).log_prob(torch.randn(500, LATENT.dim)).sum(1)
    v = torch.randn(500, LATENT.dim, dtype=dtype)
    assert abs(float(mixture.log_prob(v).mean() - normal.mean())) < 0.5


@TYPES
@pytest.mark.parametrize(("count", "scale"), [(1, 0.0), (1, 0.1), (3, 0.0)])
def test_a_handful_of_latents_has_a_density(count, scale, dtype):
    latents = known(torch.randn(count, LATENT.dim, dtype=dtype), scale=scale)
    mixture = OrbitFit()(latents, latents, [SO2, TRIVIAL])
    finite(mixture, latents.loc)
    assert mixture.components == 1


@TYPES
@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_more_components_than_different_latents_stay_finite(scale, dtype):
    v = torch.randn(2, LATENT.dim, dtype=dtype).repeat(30, 1)
    latents = known(v, scale=scale)
    mixture = OrbitFit(12, 4)(latents, latents, [SO2])
    finite(mixture, v)
    assert mixture.components == 12


@pytest.mark.parametrize("symmetry", [SO2, O2, PlaneMotions.cyclic(8)], **BY_NAME)
def test_latents_that_nothing_moves_have_a_plain_mixture(symmetry):
    latent = Representation((3,), position=False)
    truth = planted(latent, symmetry, 2, distance=3)
    mixture = OrbitFit(2)(drawn(truth, 300), drawn(truth, 100, 5), [symmetry, TRIVIAL])
    assert mixture.is_trivial and len(mixture.grid()) == 1
    test = truth.sample(300, seeded(6))
    assert mixture.log_prob(test).mean() > truth.log_prob(test).mean() - 0.2
    finite(mixture, test)


@pytest.mark.parametrize("symmetry", [SO2, O2, PlaneMotions.dihedral(4)], **BY_NAME)
def test_latents_of_moving_parts_alone_are_fitted_too(symmetry):
    latent = Representation((0, 2, 1), sign=1, position=False)
    truth = planted(latent, symmetry, 2, distance=3)
    mixture = OrbitFit(2, 0)(drawn(truth, 300), drawn(truth, 100, 5), [symmetry, TRIVIAL])
    assert mixture.symmetry == symmetry
    test = truth.sample(300, seeded(6))
    assert mixture.log_prob(test).mean() > truth.log_prob(test).mean() - 0.3
    finite(mixture, test)


def test_latents_far_from_zero_are_fitted_in_single_precision():
    """A copy that an encoder keeps at 30, with a spread of 0.05."""
    truth = planted(components=2, distance=2)
    v = truth.sample(300, seeded())
    v[:, 0] = 30 + 0.05 * torch.randn(300, generator=seeded(1), dtype=torch.float64)
    low, high = (fit_components(known(x), SO2, 2, 2, 0) for x in (v.float(), v))
    finite(low, v.float())
    likely = [float(m.log_prob(v.to(m.loc)).double().mean()) for m in (low, high)]
    assert abs(likely[0] - likely[1]) < 0.1


def test_no_more_factors_than_directions():
    latent = Representation((2,), position=False)
    assert OrbitFit(1, 16)(*[known(torch.randn(50, 2), latent)] * 2, [TRIVIAL]).rank == 1
    single = Representation((1,), position=False)
    assert OrbitFit(1, 16)(*[known(torch.randn(50, 1), single)] * 2, [TRIVIAL]).rank == 0
