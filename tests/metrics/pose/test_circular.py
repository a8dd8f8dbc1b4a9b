"""Correlations of angles hold on uniform angles, where the usual coefficient does not."""

import numpy as np
import pytest

from eqvae.metrics.pose.circular import circular_correlation, fisher_lee

BOTH = pytest.mark.parametrize("correlation", [fisher_lee, circular_correlation])


def value(correlation, a, b) -> float:
    return correlation(a, b, resamples=2)[correlation.__name__].value


def uncorrected(a: np.ndarray, b: np.ndarray) -> float:
    """Jammalamadaka and SenGupta around the sample means: the public mistake."""
    x, y = (np.sin(v - np.angle(np.exp(1j * v).mean())) for v in (a, b))
    return (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())


def samples(runs: int = 200, n: int = 100, concentration: float = 4.0):
    r = np.random.default_rng(0)
    for _ in range(runs):
        a = r.uniform(-np.pi, np.pi, n)
        yield a, a + 1 + r.vonmises(0, concentration, n)


def test_uncorrected_coefficient_is_broken_on_uniform_angles():
    """The same predictor, measured on 200 samples: standard deviation 0.40 against 0.04 and 0.03."""
    drawn = list(samples())
    assert np.std([uncorrected(a, b) for a, b in drawn]) == pytest.approx(0.40, abs=0.03)
    for correlation in (fisher_lee, circular_correlation):
        assert np.std([value(correlation, a, b) for a, b in drawn[:60]]) < 0.05


@BOTH
def test_exact_relations(correlation):
    a = np.random.default_rng(0).uniform(-np.pi, np.pi, 500)
    narrow = 0.3 * a
    for angles in (a, narrow):
        assert value(correlation, angles, angles + 2) == pytest.approx(1)
        assert value(correlation, angles, 1 - angles) == pytest.approx(-1)
    b = np.random.default_rng(1).uniform(-np.pi, np.pi, 500)
    assert value(correlation, a, b) == pytest.approx(value(correlation, a + 1, b - 4))


@BOTH
def test_independent_angles_read_the_floor(correlation):
    r = np.random.default_rng(3)
    score = correlation(*r.uniform(-np.pi, np.pi, (2, 1000)))[correlation.__name__]
    assert abs(score.value) < 0.08
    assert 0 < score.floor < 0.05
    assert score.interval[0] < 0 < score.interval[1]


@BOTH
def test_half_turn_flips_read_zero(correlation):
    """Right modulo pi, and yet no correlation: symmetric objects need the pose error."""
    r = np.random.default_rng(0)
    a = r.uniform(-np.pi, np.pi, 2000)
    b = a + np.pi * r.integers(2, size=2000)
    assert abs(value(correlation, a, b)) < 0.06


def test_fisher_lee_is_the_sum_over_pairs():
    r = np.random.default_rng(0)
    a = r.uniform(-3, 3, 30)
    b = a + r.normal(size=30)
    x, y = (np.sin(v[:, None] - v)[np.triu_indices(30, 1)] for v in (a, b))
    expected = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    assert value(fisher_lee, a, b) == pytest.approx(expected)


def test_around_clear_means_the_correction_changes_little():
    r = np.random.default_rng(0)
    a = r.normal(1, 0.3, 2000)
    b = a + r.normal(0, 0.2, 2000)
    assert value(circular_correlation, a, b) == pytest.approx(uncorrected(a, b), abs=0.01)


@BOTH
def test_constant_angles_and_few_rows_are_null(correlation):
    a = np.random.default_rng(0).uniform(-3, 3, 20)
    score = correlation(a, np.ones(20))[correlation.__name__]
    assert score.value is None
    assert "all equal" in score.reason
    assert "fewer than 3" in correlation(a[:2], a[:2])[correlation.__name__].reason


@BOTH
def test_mistakes_are_named(correlation):
    with pytest.raises(ValueError, match="one row for each sample"):
        correlation([1.0, 2, 3], [1.0, 2])
    with pytest.raises(ValueError, match="a must be finite"):
        correlation([1.0, 2, np.inf], [1.0, 2, 3])
