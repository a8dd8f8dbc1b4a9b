"""The distance of samples over that of the oracle and of reconstructions: closed forms, and controls."""

import numpy as np
import pytest

from eqvae.metrics.generation.ratio import NAMES, distance_ratio

DIM = 4


def gaussian(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, size=(n, DIM))


def scored(real, samples, oracle, again, **how):
    found = distance_ratio(real, samples, oracle, again, **{"resamples": 20, **how})
    return {name.removeprefix("fd_posed/"): score for name, score in found.items()}


def test_ratios_of_shifted_gaussians_are_known():
    """N(0, I) against N(m, I) is |m|^2: twice the shift is four times the distance.

    The estimate's standard error is about 2 |m| sqrt(2 / n) of |m|^2, 3 % here.
    """
    real = gaussian(20_000, 0)
    found = scored(real, gaussian(20_000, 1, 1.0), gaussian(20_000, 2, 0.5), real + 0.25)
    assert found["oracle"].value == pytest.approx(DIM * 0.25, rel=0.1)
    assert found["reconstruction"].value == pytest.approx(DIM * 0.0625, rel=1e-9)
    assert found["over_oracle"].value == pytest.approx(4, rel=0.1)
    assert found["over_reconstruction"].value == pytest.approx(16, rel=0.1)
    assert found["over_reconstruction"].ceiling == pytest.approx(4, rel=0.1)
    for name in ("over_oracle", "over_reconstruction"):
        low, high = found[name].interval
        assert low < found[name].value < high and high - low < found[name].value


def test_samples_that_are_the_oracle_have_ratio_one():
    real, oracle = gaussian(500, 0), gaussian(500, 1, 0.3)
    found = scored(real, oracle, oracle, real * 0.9)
    assert found["over_oracle"].value == 1 == found["over_oracle"].ceiling
    assert found["over_reconstruction"].value == found["over_reconstruction"].ceiling


def test_a_perfect_prior_is_within_the_interval_and_a_bad_one_is_not():
    real, oracle = gaussian(2000, 0), gaussian(2000, 1, 0.3)
    good, bad = (scored(real, gaussian(2000, 2, s), oracle, real * 0.9) for s in (0.3, 0.5))
    low, high = good["over_oracle"].interval
    assert low < 1 < high
    assert bad["over_oracle"].interval[0] > 1


def test_floors_are_those_of_destroyed_images():
    real = gaussian(300, 0)
    found = scored(real, gaussian(300, 1), gaussian(300, 2), real + 0.5, destroyed=real + 2)
    assert found["oracle"].floor == pytest.approx(4 * DIM)
    assert found["over_reconstruction"].floor == pytest.approx(16)
    without = scored(real, gaussian(300, 1), gaussian(300, 2), real + 0.5)
    assert without["oracle"].floor is None


def test_images_of_one_source_are_drawn_together():
    """Eight copies of each of 100 images are worth 100: the interval of the distance to the oracle grows."""
    real = gaussian(100, 0).repeat(8, axis=0)
    sets = (real, gaussian(800, 1, 0.5), gaussian(800, 2, 0.5), real * 0.8)
    copies = np.arange(100).repeat(8)
    free, grouped = (scored(*sets, groups=g, resamples=100) for g in (None, copies))
    assert np.ptp(grouped["oracle"].interval) > 1.4 * np.ptp(free["oracle"].interval)


def test_what_can_not_be_measured_is_null():
    few = gaussian(4, 0)
    assert "more images than the 4 features" in scored(few, few, few, few)["over_oracle"].reason
    real = gaussian(100, 0)
    copied = scored(real, gaussian(100, 1), real, real)
    assert set(copied) == set(NAMES)
    assert all("than rounding" in score.reason for score in copied.values())


def test_bad_features_are_refused():
    real = gaussian(50, 0)
    with pytest.raises(
        ValueError, match="one row for each sample; got real 50, reconstructions 49"
    ):
        distance_ratio(real, real, real, real[1:])
    with pytest.raises(ValueError, match="features of the same network; got"):
        distance_ratio(real, real, real[:, :2], real)
    with pytest.raises(ValueError, match="oracle must be finite"):
        distance_ratio(real, real, real * np.nan, real)
