"""Scores say what they are, and their intervals cover what they should."""

import numpy as np
import pytest

from eqvae.metrics.intervals import bootstrap, mean_interval
from eqvae.metrics.likelihood.elbo import kl_by_block
from eqvae.metrics.score import Score


def test_a_score_without_a_value_needs_a_reason():
    assert np.isnan(float(Score.null("no labels", n=3)))
    with pytest.raises(ValueError, match="must say why"):
        Score(None)
    with pytest.raises(ValueError, match="must be finite; got nan"):
        Score(float("nan"), n=2)


def test_scores_are_plain_numbers_for_json():
    score = Score(np.float32(0.5), n=10, floor=0.1, interval=(0.4, 0.6), page="mig")
    assert type(score.as_dict()["value"]) is float
    assert score.as_dict()["interval"] == (0.4, 0.6)


@pytest.mark.parametrize("resamples", [20, 300])
def test_bootstrap_of_a_mean_agrees_with_the_normal_interval(resamples):
    values = np.random.default_rng(0).normal(3, 2, size=400)
    low, high = bootstrap(lambda rows: values[rows].mean(), 400, resamples=resamples)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.35 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.35 * half)
    fast = mean_interval(values)
    assert fast == pytest.approx((values.mean() - half, values.mean() + half), abs=0.2 * half)


def test_intervals_cover_at_their_level():
    generator = np.random.default_rng(1)
    hits = [
        low <= 0 <= high
        for low, high in (mean_interval(generator.normal(size=60), seed=s) for s in range(300))
    ]
    assert 0.90 < np.mean(hits) < 0.98


def test_repeated_rows_widen_the_interval_only_when_the_groups_are_named():
    once = np.random.default_rng(2).normal(size=50)
    values, groups = np.repeat(once, 20), np.repeat(np.arange(50), 20)
    honest, naive = mean_interval(values, groups=groups), mean_interval(values)
    single = mean_interval(once)
    width = lambda interval: interval[1] - interval[0]  # noqa: E731
    assert width(honest) == pytest.approx(width(single), rel=0.15)
    assert width(naive) < 0.4 * width(single)
    slow = bootstrap(lambda rows: values[rows].mean(), 1000, groups=groups)
    assert width(slow) == pytest.approx(width(single), rel=0.3)


def test_ratio_of_sums_and_weights():
    generator = np.random.default_rng(3)
    weights = generator.uniform(1, 2, size=500)
    low, high = mean_interval(2 * weights, weights)
    assert low == pytest.approx(2) and high == pytest.approx(2)


def test_a_ratio_with_some_empty_denominators_keeps_its_value_inside():
    weights = np.array([1.0, *[1e-6] * 15])
    low, high = mean_interval(np.array([1e-4, *[1e-5] * 15]), weights)
    assert low <= 2.5e-4 <= high < 0.01


def test_a_biased_statistic_is_centred():
    # the number of distinct rows drops by 1/e under resampling; the interval must not
    low, high = bootstrap(lambda rows: len(np.unique(rows)) / 200, 200)
    assert low < 1 < high


def test_nothing_to_resample_gives_no_interval():
    assert mean_interval([1.0]) is None
    assert bootstrap(lambda rows: 0.0, 5, groups=np.zeros(5)) is None
    assert bootstrap(lambda rows: float("nan"), 5) is None


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(4).normal(size=30)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_an_unknown_keyword_is_named():
    with pytest.raises(TypeError, match="unknown keyword sed; .* groups, resamples, seed"):
        kl_by_block({"a": [1.0, 2.0]}, sed=1)


def test_every_score_takes_the_same_draws():
    """One way in: sources, resamples and seed mean the same to each."""
    values, sources = np.arange(12.0), np.repeat(np.arange(4), 3)
    score = kl_by_block({"a": values}, groups=sources, resamples=150, seed=3)["kl"]
    assert score.interval == mean_interval(values, groups=sources, resamples=150, seed=3)
    assert score.interval != mean_interval(values, resamples=150, seed=3)
