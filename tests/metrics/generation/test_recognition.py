"""Recognised samples: planted confidences, and a classifier that does not mind how objects are turned."""

import math

import numpy as np
import pytest
import torch

from eqvae.data.sources import Sprites
from eqvae.metrics.generation.features import shuffled
from eqvae.metrics.generation.recogniser import Recogniser, circles
from eqvae.metrics.generation.recognition import recognised_share
from eqvae.symmetry.motions import motion

SHAPES = ("flag", "zed", "whirl3", "ring")


def sure(confidence: np.ndarray) -> np.ndarray:
    """Probabilities of three classes whose largest is known; it is always that of the first."""
    rest = (1 - confidence[:, None]) / 2
    return np.concatenate([confidence[:, None], rest, rest], axis=1)


REAL = sure(np.linspace(0.4, 1.0, 101))  # the 5 % quantile is 0.43


def test_the_share_of_planted_confidences():
    samples = sure(np.array([0.9] * 30 + [0.42] * 10))
    score = recognised_share(REAL, samples)["recognised_share"]
    assert score.value == 0.75 and score.ceiling == 0.95
    low, high = score.interval
    assert low < 0.75 < high < 1  # 30 of 40 coins: a standard deviation of 0.07
    assert 0.1 < high - low < 0.4


def test_real_images_have_the_ceiling():
    score = recognised_share(REAL, REAL)["recognised_share"]
    assert score.value == pytest.approx(score.ceiling, abs=0.01)
    nothing = recognised_share(REAL, sure(np.full(50, 0.34)), destroyed=sure(np.full(9, 0.41)))
    assert nothing["recognised_share"].value == 0 == nothing["recognised_share"].floor


def test_the_accuracy_says_how_far_to_trust_the_judge():
    labels = np.where(np.arange(101) < 80, 0, 1)
    found = recognised_share(REAL, REAL, labels)["recogniser_accuracy"]
    assert found.value == pytest.approx(80 / 101) and found.floor == pytest.approx(80 / 101)
    unseen = np.where(np.arange(101) < 60, 0, -1)
    assert recognised_share(REAL, REAL, unseen)["recogniser_accuracy"].value == pytest.approx(
        60 / 101
    )


def test_what_can_not_be_measured_is_null_and_what_is_wrong_is_refused():
    few = recognised_share(REAL[:19], REAL)["recognised_share"]
    assert few.reason == "needs 20 real and generated images; got 19 and 101"
    with pytest.raises(ValueError, match="same classes; got 3 and 2"):
        recognised_share(REAL, REAL[:, :2])
    with pytest.raises(ValueError, match="labels 100"):
        recognised_share(REAL, REAL, np.zeros(100))


# the classifier


def sprites(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Shapes turned and shifted at random."""
    source = Sprites(n, size=28, radius=(8.0, 10.0), shapes=SHAPES, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    shift = 3 * torch.rand(n, 2, generator=generator) - 1.5
    return source.render(torch.arange(n), motion(angle, shift), 33), source.load().labels


@pytest.fixture(scope="module")
def judge() -> Recogniser:
    images, labels = sprites(240, 1)
    return Recogniser.trained(images, 2 * labels, seed=0)


@pytest.fixture(scope="module")
def unseen() -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = sprites(200, 2)
    return images, 2 * labels


def test_shapes_in_any_pose_are_told_apart(judge, unseen):
    """Labels need not be 0, 1, 2, ...: columns stand for those that were seen, and -1 for others."""
    images, labels = unseen
    p = judge.probabilities(images)
    assert p.shape == (200, 4) and p.sum(axis=1) == pytest.approx(np.ones(200))
    assert judge.columns([0, 6, 1, 8]).tolist() == [0, 3, -1, -1]
    assert (p.argmax(axis=1) == judge.columns(labels)).mean() > 0.95


def test_a_turn_and_a_shift_change_nothing(judge, unseen):
    """Quarter turns shift the circles by whole steps, also after two strides: equal to rounding.

    Other turns are drawn anew; the answer of a network of finite strides wavers a little between them.
    """
    images, _ = unseen
    p = judge.probabilities(images)
    quarter = torch.rot90(images, 1, dims=(-2, -1)).roll((2, -1), dims=(-2, -1))
    np.testing.assert_allclose(judge.probabilities(quarter), p, atol=1e-4)
    source = Sprites(50, size=28, radius=(9.0, 9.0), shapes=("flag",), seed=5)
    drawn = [
        judge.probabilities(source.render(torch.arange(50), motion(a).expand(50, 4), 33))
        for a in (0.0, 0.4)
    ]
    assert np.abs(drawn[0] - drawn[1]).max() < 0.1


def test_circles_turn_into_shifts_along_the_angle(unseen):
    images = unseen[0][:5].double()
    p = circles(images, 10.0)
    turned = circles(torch.rot90(images, 1, dims=(-2, -1)), 10.0)
    torch.testing.assert_close(turned, p.roll(p.shape[-1] // 4, dims=-1), atol=1e-9, rtol=0)


def test_garbled_images_are_recognised_less(judge, unseen):
    """Controls: shuffled pixels, and halves of two shapes put together."""
    images, labels = unseen
    halves = torch.cat([images[..., :16], images.roll(1, dims=0)[..., 16:]], dim=-1)
    good, bad = judge.probabilities(sprites(200, 3)[0]), judge.probabilities(halves)
    spoiled = judge.probabilities(shuffled(images))
    p = judge.probabilities(images)
    found = recognised_share(p, good, judge.columns(labels), spoiled)
    assert found["recognised_share"].value > 0.85 and found["recogniser_accuracy"].value > 0.95
    assert found["recognised_share"].floor < 0.05
    assert recognised_share(p, bad)["recognised_share"].value < 0.6


def test_the_seed_decides_and_the_callers_random_numbers_stay():
    images, labels = sprites(24, 4)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with torch.no_grad():  # as an evaluation has it
        first, again, other = (Recogniser.trained(images, labels, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    p, same, others = (r.probabilities(images) for r in (first, again, other))
    np.testing.assert_array_equal(p, same)
    assert np.abs(p - others).max() > 1e-3


def test_colours_small_images_and_empty_images_are_no_trouble():
    images, labels = torch.rand(40, 3, 12, 12), torch.arange(40) % 3
    images[:5] = 0
    assert np.isfinite(Recogniser.trained(images, labels).probabilities(images)).all()


def test_labels_that_teach_nothing_are_refused():
    images = torch.rand(30, 1, 28, 28)
    with pytest.raises(ValueError, match="two classes at least; got one"):
        Recogniser.trained(images, torch.zeros(30))
    with pytest.raises(ValueError, match="must be known; 1 of 30"):
        Recogniser.trained(images, torch.arange(30) - 1)
    with pytest.raises(ValueError, match="labels 29"):
        Recogniser.trained(images, torch.arange(29) % 2)
