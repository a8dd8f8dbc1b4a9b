"""Copies of training images: a planted line where every distance is known, and controls at both ends."""

import numpy as np
import pytest

from eqvae.metrics.generation.memorisation import memorisation_ratio, nearest_distance

TRAINING = 10.0 * np.arange(40)[:, None]


def ratio(real: np.ndarray, samples: np.ndarray, **how):
    return memorisation_ratio(real, samples, TRAINING, **how)["memorisation_ratio_posed"]


def test_the_ratio_of_planted_distances():
    """Training images at 0, 10, 20, ...; real ones 2 beside them, samples 1 beside, before or behind."""
    score = ratio(TRAINING + 2.0, TRAINING[:30] - 1.0)
    assert score.value == 0.5 and score.interval == (0.5, 0.5)
    assert (score.ceiling, score.better, score.n) == (1.0, "neither", 30)


def test_training_images_themselves_are_found_out():
    """A control: a generator that copies has 0, and one of nothing known more than 1."""
    assert ratio(TRAINING + 2.0, TRAINING).value == 0
    assert ratio(TRAINING + 2.0, TRAINING + 4.5).value == 2.25
    near = TRAINING + 1e-7  # what a matrix product would lose among positions of hundreds
    assert ratio(TRAINING + 2.0, near).value == pytest.approx(5e-8, rel=1e-3)


def test_samples_of_the_same_distribution_have_one():
    draw = np.random.default_rng(0)
    training, real, samples = (draw.normal(size=(n, 8)) for n in (1000, 800, 800))
    score = memorisation_ratio(real, samples, training)["memorisation_ratio_posed"]
    assert score.interval[0] < 1 < score.interval[1] and np.ptp(score.interval) < 0.1
    half = np.where(np.arange(800)[:, None] % 5 < 3, training[:800], samples)
    copied = memorisation_ratio(real, half, training)["memorisation_ratio_posed"]
    assert copied.value == 0  # the median, of three copies in five


def test_shuffled_images_are_the_floor():
    score = ratio(TRAINING + 2.0, TRAINING + 1.0, destroyed=TRAINING + 5.0)
    assert score.floor == 2.5


def test_distances_do_not_depend_on_the_parts_they_are_found_in(monkeypatch):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(60, 3)), draw.normal(size=(40, 3))
    whole = nearest_distance(a, b)
    np.testing.assert_allclose(whole, np.linalg.norm(a[:, None] - b, axis=2).min(axis=1))
    monkeypatch.setattr("eqvae.metrics.generation.memorisation._ROWS", 7)
    np.testing.assert_array_equal(nearest_distance(a, b), whole)


def test_what_can_not_be_measured_is_null():
    assert (
        "needs 20 images of each kind; got 40 real, 5 gen" in ratio(TRAINING, TRAINING[:5]).reason
    )
    assert "half of the real images are copies" in ratio(TRAINING, TRAINING + 1).reason
    with pytest.raises(ValueError, match="same network; got 2 and 1 columns"):
        memorisation_ratio(TRAINING, TRAINING, np.ones((40, 2)))
