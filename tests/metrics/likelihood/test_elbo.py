"""ELBO terms, bits per dimension and active units."""

import math

import numpy as np
import pytest
import torch

from eqvae.metrics.likelihood.active_units import active_units, unit_variances
from eqvae.metrics.likelihood.elbo import bits_per_dim, elbo_scores, kl_by_block
from eqvae.symmetry import Representation
from eqvae.symmetry.motions import motion


def test_elbo_is_the_likelihood_minus_every_block():
    rng = np.random.default_rng(0)
    likelihood, kl = rng.normal(size=40), {"psi0": rng.gamma(2, size=40), "psi1": np.ones((40, 2))}
    scores = elbo_scores(likelihood, kl)
    assert scores["elbo"].value == pytest.approx(likelihood.mean() - kl["psi0"].mean() - 2)
    assert scores["kl/psi1"].value == 2  # summed over coordinates, averaged over images
    assert scores["kl"].value == pytest.approx(scores["kl/psi0"].value + 2)
    low, high = scores["elbo"].interval
    assert low < scores["elbo"].value < high


def test_kl_of_the_wrong_sign_is_refused():
    kl = np.random.default_rng(0).gamma(2, size=40)
    with pytest.raises(ValueError, match="'psi0' must not be negative; its mean is -.* sign"):
        kl_by_block({"psi0": -kl})
    with pytest.raises(ValueError, match="must not be negative"):
        elbo_scores(kl, {"psi0": kl, "psi1": -kl})


def test_kl_estimated_from_draws_may_be_negative_for_single_images():
    draws = np.random.default_rng(0).normal(0.01, 1, size=400)
    assert kl_by_block({"psi0": draws})["kl"].n == 400


def test_kl_at_the_prior_is_zero():
    assert kl_by_block({"psi0": torch.zeros(10)})["kl"].value == 0


@pytest.mark.parametrize(
    "kl, message",
    [
        ({}, "at least one block"),
        ({"psi0": 3.0}, "kl of 'psi0' must have 1 or 2 dimension"),
        ({"psi0": [1.0, math.nan]}, "kl of 'psi0' must be finite"),
        ({"psi0": [1.0], "psi1": [1.0, 2.0]}, "psi0 1, psi1 2"),
    ],
)
def test_bad_kl_is_refused(kl, message):
    with pytest.raises(ValueError, match=message):
        kl_by_block(kl)


def test_bits_of_a_uniform_density_are_those_of_the_grey_values():
    scores = bits_per_dim(np.zeros(5), num_dims=2500)
    assert scores["bits_per_dim"].value == scores["bits_per_dim"].floor == 8
    assert bits_per_dim(np.zeros(5), 2500, levels=65536)["bits_per_dim"].value == 16


def test_bits_of_a_discrete_law_need_no_conversion():
    nats = np.full(5, -100 * math.log(2))  # 100 fair coins
    score = bits_per_dim(nats, num_dims=100, levels=1)["bits_per_dim"]
    assert score.value == pytest.approx(1) and score.better == "lower"


def test_bits_of_dequantised_images_equal_the_entropy_of_their_grey_values():
    """A histogram density on [0, 1] codes 4 grey levels in exactly their entropy."""
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    rng = np.random.default_rng(0)
    grey = rng.choice(4, p=probabilities, size=(2000, 16))
    x = (grey + rng.random(grey.shape)) / 4
    log_density = np.log(probabilities * 4)[(x * 4).astype(int)].sum(axis=1)
    entropy = -(probabilities * np.log2(probabilities)).sum()
    score = bits_per_dim(log_density, num_dims=16, levels=4)["bits_per_dim"]
    assert score.value == pytest.approx(entropy, abs=0.03)


def test_bits_need_dimensions():
    with pytest.raises(ValueError, match="num_dims and levels must be at least 1; got 0 and 256"):
        bits_per_dim(np.zeros(5), 0)


def codes(n: int = 500) -> tuple[np.ndarray, Representation]:
    """3 contents of which one is dead, 2 pairs of psi_1 of which one is dead."""
    representation = Representation(multiplicities=(3, 2), position=False)
    scale = np.array([1.0, 0.5, 0.0, 0.3, 0.3, 0.01, 0.01])
    return np.random.default_rng(0).normal(size=(n, 7)) * scale + 5, representation


def test_active_units_are_counted_not_the_length_of_the_mask():
    means, representation = codes()
    scores = active_units(means, representation.copy_index)
    assert scores["active_units"].value == 4 and scores["active_units"].ceiling == 7
    assert scores["active_copies"].value == 3 and scores["active_copies"].ceiling == 5


def test_active_copies_do_not_depend_on_the_basis_of_a_pair():
    """A pair of total variance 0.012, turned from one axis to the diagonal."""
    representation = Representation(multiplicities=(0, 1), position=False)
    means = torch.randn(4000, 2, dtype=torch.float64) * torch.tensor([0.012**0.5, 0.0])
    turned = representation.act(motion(math.pi / 4).expand(4000, 4), means)
    copies = representation.copy_index
    a, b = (active_units(z, copies) for z in (means, turned))
    assert a["active_copies"].value == b["active_copies"].value == 1
    assert (a["active_units"].value, b["active_units"].value) == (1, 0)  # per axis it does
    np.testing.assert_allclose(
        unit_variances(means, copies), unit_variances(turned, copies), rtol=1e-12
    )


def test_active_units_of_collapsed_codes_are_zero():
    scores = active_units(np.ones((50, 4)))
    assert scores["active_units"].value == 0 and "active_copies" not in scores


def test_active_units_of_one_image_are_null():
    assert "one image" in active_units(np.ones((1, 4)))["active_units"].reason


@pytest.mark.parametrize(
    "copies, message",
    [
        ([0, 1], "each of the 7 coordinates; got 2"),
        ([0, 1, 2, 3, 3, 5, 5], "without gaps"),
        ([0.0] * 7, "without gaps"),
    ],
)
def test_copies_must_fit(copies, message):
    with pytest.raises(ValueError, match=message):
        active_units(codes()[0], np.array(copies))
