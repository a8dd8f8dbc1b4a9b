"""The importance-weighted bound against exact evidence, and the mistakes that others have made."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from eqvae.metrics.likelihood.importance import ImportanceWeightedBound, importance_weighted_bound
from eqvae.metrics.likelihood.linear_gaussian import LinearGaussian
from eqvae.metrics.likelihood.streaming import StreamingLogMeanExp, estimate_bound


def test_exact_posterior_gives_the_evidence_from_one_draw():
    model = LinearGaussian()
    estimate = estimate_bound(model.log_weights, 1)
    assert (estimate.bounds[1] - model.evidence).abs().max() < 1e-10
    scores = importance_weighted_bound(model.log_weights(1), evidence=model.evidence)
    assert scores["iw_bound"].value == pytest.approx(scores["iw_bound"].ceiling, abs=1e-10)
    assert scores["effective_fraction"].value == pytest.approx(1.0)


def test_mismatched_posterior_closes_its_gap_with_more_draws():
    model = LinearGaussian()
    estimate = estimate_bound(lambda k: model.log_weights(k, shift=0.35, stretch=2), 1000)
    gaps = [(model.evidence - estimate.bounds[k]).mean().item() for k in (1, 10, 100, 1000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 4 and gaps[1] < 0.5 and abs(gaps[-1]) < 0.05


def test_bounds_grow_with_the_draws_for_every_image():
    log_weights = torch.randn(1000, 30, dtype=torch.float64) * 4
    bounds = estimate_bound(lambda k: log_weights[:k], 1000, chunk=1000).bounds
    for small, large in [(1, 10), (10, 100), (100, 1000)]:
        assert (bounds[large] >= bounds[small]).all()


def test_bound_at_ten_is_the_mean_over_groups_of_ten():
    log_weights = np.random.default_rng(0).normal(size=(100, 4))
    expected = (logsumexp(log_weights.reshape(10, 10, 4), axis=1) - math.log(10)).mean(axis=0)
    scores = importance_weighted_bound(log_weights)
    assert scores["iw_bound_10"].value == pytest.approx(expected.mean(), abs=1e-12)
    assert scores["iw_bound_1"].value == pytest.approx(log_weights.mean(), abs=1e-12)


@pytest.mark.parametrize("sizes", [[1] * 137, [100, 37], [13, 100, 24], [137]])
def test_chunks_do_not_matter(sizes):
    log_weights = torch.randn(137, 5, dtype=torch.float64) * 30 - 5000  # exp would underflow
    stream = StreamingLogMeanExp()
    for chunk in log_weights.split(sizes):
        stream.update(chunk)
    estimate = stream.result()
    expected = logsumexp(log_weights.numpy(), axis=0) - math.log(137)
    np.testing.assert_allclose(estimate.bounds[137].numpy(), expected, rtol=1e-14)
    tens = log_weights[:130].reshape(13, 10, 5).logsumexp(dim=1).mean(dim=0) - math.log(10)
    torch.testing.assert_close(estimate.bounds[10], tens, rtol=1e-13, atol=0)
    assert list(estimate.bounds) == [1, 10, 100, 137]


def test_float32_log_weights_are_summed_in_float64():
    log_weights = torch.full((5000, 1), -1234.5)
    value = importance_weighted_bound(log_weights.split(100))["iw_bound"].value
    assert value == pytest.approx(-1234.5, abs=1e-10)


def test_memory_does_not_grow_with_the_draws():
    stream = StreamingLogMeanExp()
    for _ in range(50):
        stream.update(torch.randn(100, 3))
    waiting = sum(len(level._waiting) for level in stream._levels)
    assert stream.count == 5000 and waiting < 10 * len(stream._levels)


def test_standard_error_matches_repeated_estimates():
    generator = torch.Generator().manual_seed(1)
    log_weights = 0.7 * torch.randn(400, 500, generator=generator, dtype=torch.float64)
    estimate = estimate_bound(lambda k: log_weights[:k], 400, chunk=400)
    assert estimate.standard_error.mean() == pytest.approx(
        estimate.bounds[400].std().item(), rel=0.15
    )


def test_effective_fraction_of_one_heavy_draw_is_its_floor():
    log_weights = torch.full((10, 2), -1000.0)
    log_weights[3] = 0
    score = importance_weighted_bound(log_weights)["effective_fraction"]
    assert score.value == pytest.approx(score.floor)


# mistakes of public implementations


def test_sample_count_is_not_ignored_and_the_sign_is_that_of_a_log_likelihood():
    model = LinearGaussian()
    few, many = (
        importance_weighted_bound(model.log_weights(k, shift=0.35, stretch=2))["iw_bound"]
        for k in (1, 1000)
    )
    assert few.n == many.n == 50
    assert many.value > few.value + 1
    assert few.better == "higher" and many.value == pytest.approx(
        model.evidence.mean().item(), abs=0.2
    )


def test_metric_counts_every_image_of_every_batch():
    log_weights = torch.randn(100, 25, dtype=torch.float64) * 3 + torch.arange(25)
    metric = ImportanceWeightedBound()
    for batch in log_weights.split([10, 10, 5], dim=1):  # the last batch is smaller
        metric.update(batch)
    together = importance_weighted_bound(log_weights)
    assert metric.compute()[100].item() == pytest.approx(together["iw_bound"].value, abs=1e-12)
    assert metric.scores().keys() == together.keys()
    for name, score in metric.scores().items():
        assert score.value == pytest.approx(together[name].value, abs=1e-12)
    metric.reset()
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="call update"):
        metric.compute()


def test_metric_refuses_batches_of_different_draws():
    metric = ImportanceWeightedBound()
    metric.update(torch.zeros(10, 2))
    with pytest.raises(ValueError, match="same number of draws; got 20 after 10"):
        metric.update(torch.zeros(20, 2))


# directions


def von_mises_model(k: int, images: int = 12):
    """theta ~ uniform, x | theta ~ N((cos, sin) theta, 0.5^2): weights and exact evidence."""
    generator = torch.Generator().manual_seed(2)
    truth = 2 * math.pi * torch.rand(images, generator=generator, dtype=torch.float64)
    noise = 0.5 * torch.randn(images, 2, generator=generator, dtype=torch.float64)
    x = torch.stack([truth.cos(), truth.sin()], dim=1) + noise

    def log_likelihood(theta):
        circle = torch.stack([theta.cos(), theta.sin()], dim=-1)
        return torch.distributions.Normal(circle, 0.5).log_prob(x).sum(dim=-1)

    grid = (torch.arange(4096, dtype=torch.float64) * (2 * math.pi / 4096))[:, None]
    evidence = log_likelihood(grid.expand(-1, images)).logsumexp(dim=0) - math.log(4096)
    loc = torch.atan2(x[:, 1], x[:, 0])
    concentration = x.norm(dim=1) / 0.5**2  # the exact posterior
    torch.manual_seed(0)
    theta = torch.distributions.VonMises(loc, concentration).sample((k,))
    return x, theta, log_likelihood(theta), loc, concentration, evidence


def log_von_mises(theta, loc, concentration):
    """With respect to the Haar measure d theta / 2 pi, where the uniform prior has log density 0."""
    log_i0 = torch.special.i0e(concentration).log() + concentration
    log_q = concentration * torch.cos(theta - loc) - log_i0
    per_radian = torch.distributions.VonMises(loc, concentration).log_prob(theta)
    # the tolerance is that of torch's Bessel function
    torch.testing.assert_close(log_q, per_radian + math.log(2 * math.pi), atol=1e-6, rtol=0)
    return log_q


def test_pose_latent_reaches_the_evidence_by_quadrature():
    _, theta, likelihood, loc, concentration, evidence = von_mises_model(50)
    log_q = log_von_mises(theta, loc, concentration)
    bounds = estimate_bound(lambda k: (likelihood - log_q)[:k], 1).bounds
    assert (bounds[1] - evidence).abs().max() < 1e-10


def test_control_inconsistent_measures_are_wrong_by_log_two_pi():
    _, theta, likelihood, loc, concentration, evidence = von_mises_model(50)
    log_q = log_von_mises(theta, loc, concentration)
    wrong = likelihood - (
        log_q - math.log(2 * math.pi)
    )  # q per radian, the prior by the Haar measure
    gap = importance_weighted_bound(wrong)["iw_bound"].value - evidence.mean().item()
    assert gap == pytest.approx(math.log(2 * math.pi), abs=1e-10)  # above the evidence
    assert importance_weighted_bound(likelihood - log_q)["iw_bound"].value == pytest.approx(
        evidence.mean().item(), abs=1e-10
    )


# input


def test_what_cannot_be_measured_says_why():
    scores = importance_weighted_bound(torch.zeros(1, 4))
    assert "spread of draws" in scores["bound_standard_error"].reason
    log_weights = torch.zeros(10, 4)
    log_weights[0, 0] = -math.inf
    scores = importance_weighted_bound(log_weights)
    assert scores["iw_bound"].value == pytest.approx(math.log(0.9) / 4)
    assert "weight zero" in scores["iw_bound_1"].reason


@pytest.mark.parametrize(
    "weights, message",
    [
        (torch.zeros(4), r"log_weights must be \(k, N\), draws by images; got \(4,\)"),
        (torch.full((2, 3), math.nan), "6 of 6 are NaN"),
        (torch.full((2, 3), -math.inf), "of 3 of 3 images are all -inf"),
        ([torch.zeros(2, 3), torch.zeros(2, 4)], r"must be \(k, 3\)"),
        ([], "at least one draw"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        importance_weighted_bound(weights)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="num_samples and chunk must be at least 1; got 0"):
        estimate_bound(lambda k: torch.zeros(k, 2), 0)
    with pytest.raises(ValueError, match="draw must return 10 draws when asked for 10; got 1"):
        estimate_bound(lambda k: torch.zeros(1, 2), 10)
    with pytest.raises(ValueError, match="one row for each sample"):
        importance_weighted_bound(torch.zeros(2, 3), groups=[0, 1])
