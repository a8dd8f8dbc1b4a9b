"""Distances between sets of images: formulas against independent code, laws, and controls."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from eqvae.data.sources import Sprites
from eqvae.metrics.generation.features import image_features, load_features
from eqvae.metrics.generation.frechet import frechet, frechet_distance
from eqvae.metrics.generation.kernel_distance import kernel_distance, kernel_mmd
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.generation.orientation import distance_by_orientation
from eqvae.metrics.generation.samples import generation_scores
from eqvae.symmetry.motions import motion


def gaussian(
    n: int, dim: int = 8, seed: int = 0, shift: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, scale, size=(n, dim))


class Flattened(nn.Module):
    """Features that are the pixels of the middle row."""

    num_features = 24

    def forward(self, x):
        return x[:, 0, x.shape[2] // 2, :24]


# formulas


def test_frechet_equals_the_formula_with_a_matrix_square_root():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(200, 6)) + 1
    cov = [np.cov(x, rowvar=False) for x in (a, b)]
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov[0] + cov[1])
    expected -= 2 * np.trace(sqrtm(cov[0] @ cov[1])).real
    assert frechet(a, b) == pytest.approx(expected, rel=1e-10)


def test_frechet_of_isotropic_gaussians_is_known():
    """N(0, I) and N(m, s^2 I): |m|^2 + dim (1 - s)^2."""
    a, b = gaussian(50_000, dim=4), gaussian(50_000, dim=4, seed=1, shift=0.5, scale=2)
    assert frechet(a, b) == pytest.approx(4 * 0.25 + 4 * 1, rel=0.03)


def test_frechet_of_a_set_with_itself_is_zero_at_any_rank():
    a = gaussian(100) @ np.diag([1, 1, 0, 0, 0, 0, 0, 0])
    assert frechet(a, a) == pytest.approx(0, abs=1e-10)


def test_frechet_equals_torchmetrics_with_the_shipped_network():
    network = load_features()
    a = Sprites(150, seed=1).load().images
    b = (Sprites(150, seed=2).load().images * 0.8).contiguous()
    metric = FrechetInceptionDistance(feature=network, normalize=True)
    metric.update(a, real=True)
    metric.update(b, real=False)
    ours = frechet(image_features(a), image_features(b))
    assert ours == pytest.approx(metric.compute().item(), rel=1e-4)


def test_kernel_distance_equals_torchmetrics():
    a, b = gaussian(60), gaussian(60, seed=1, shift=0.3)
    expected = poly_mmd(torch.from_numpy(a), torch.from_numpy(b)).item()
    assert kernel_mmd(a, b) == pytest.approx(expected, rel=1e-10)


def test_precision_and_recall_count_balls():
    """Real images on a line at 0, 1, ..., 19; samples at half of the places and far away."""
    real = np.arange(20.0)[:, None]
    samples = np.concatenate([np.arange(10.0) + 0.5, np.full(10, 500.0) + np.arange(10)])[:, None]
    scores = precision_recall(real, samples, k=1)
    assert scores["precision_posed"].value == 0.5
    assert scores["recall_posed"].value == pytest.approx(11 / 20)  # 0..10 lie within 1 of a sample
    assert scores["density_posed"].value == pytest.approx(1.0)  # two balls around each good sample
    assert scores["coverage_posed"].value == pytest.approx(11 / 20)


def test_coverage_and_density_of_one_law_are_their_ceilings():
    scores = precision_recall(gaussian(800), gaussian(700, seed=1), k=3)
    for name in ("density_posed", "coverage_posed"):
        assert scores[name].value == pytest.approx(scores[name].ceiling, abs=0.05)
    for name in ("precision_posed", "recall_posed"):
        assert scores[name].value == pytest.approx(scores[name].ceiling, abs=0.05)


def test_collapsed_generators_have_precision_without_recall():
    scores = precision_recall(gaussian(500), gaussian(500, seed=1, scale=0.1))
    assert scores["precision_posed"].value > 0.95 and scores["recall_posed"].value < 0.1


def test_precision_does_not_depend_on_the_blocks_of_the_distance_matrix(monkeypatch):
    a, b = gaussian(150), gaussian(170, seed=1)
    whole = precision_recall(a, b)
    monkeypatch.setattr("eqvae.metrics.generation.neighbours._ROWS", 40)
    assert precision_recall(a, b) == whole


# scores


def test_ceiling_foretells_the_distance_of_two_sets_of_one_law():
    """Halves have more bias than the whole; scaled by 1/n + 1/m they have the same."""
    whole, other = gaussian(4000, dim=20), gaussian(2000, dim=20, seed=1)
    score = frechet_distance(whole, other)["fd_posed"]
    assert score.value == pytest.approx(score.ceiling, rel=0.3)
    assert frechet(whole[:2000], whole[2000:]) > 1.15 * score.ceiling


def test_intervals_hold_the_distance_of_the_laws():
    a, b = gaussian(1000, dim=4), gaussian(1000, dim=4, seed=1, shift=0.5)
    fd = frechet_distance(a, b, resamples=100)["fd_posed"]
    assert fd.interval[0] < 1.0 < fd.interval[1]
    exact = kernel_mmd(gaussian(2500, 4, seed=2), gaussian(2500, 4, seed=3, shift=0.5))
    kd = kernel_distance(a, b)["kd_posed"]
    assert kd.interval[0] < exact < kd.interval[1]


def test_kernel_distance_is_unbiased():
    values = [kernel_mmd(gaussian(50, seed=i), gaussian(50, seed=100 + i)) for i in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(40)


def test_rows_of_one_source_widen_the_interval():
    a, b = gaussian(100, dim=4).repeat(8, axis=0), gaussian(800, dim=4, seed=1, shift=0.5)
    groups = np.arange(100).repeat(8)
    free, clustered = (frechet_distance(a, b, groups=g)["fd_posed"] for g in (None, groups))
    assert np.ptp(clustered.interval) > 1.4 * np.ptp(free.interval)
    assert clustered.ceiling > 2 * free.ceiling  # copies in both halves hide the distance of halves


def test_too_few_images_are_null():
    few = gaussian(5)
    assert (
        "more images than the 8 features; got 5 real"
        in frechet_distance(few, few)["fd_posed"].reason
    )
    assert "needs 20 real" in kernel_distance(few, few)["kd_posed"].reason
    assert "more than 2 k = 6" in precision_recall(few, few)["recall_posed"].reason


def test_bad_features_are_refused():
    with pytest.raises(ValueError, match="same network; got 8 and 4 columns"):
        frechet_distance(gaussian(50), gaussian(50, dim=4))
    with pytest.raises(ValueError, match="samples must be finite"):
        kernel_distance(gaussian(50), np.full((50, 8), math.nan))
    with pytest.raises(ValueError, match="k must be at least 1 neighbour; got 0"):
        precision_recall(gaussian(50), gaussian(50), k=0)
    with pytest.raises(ValueError, match="one row for each sample"):
        frechet_distance(gaussian(50), gaussian(50), groups=[1, 2])


# images


@cache
def sprites(n: int, seed: int) -> torch.Tensor:
    return Sprites(n, size=28, radius=(9.0, 11.0), seed=seed).load().images


def test_generation_scores_of_samples_of_the_real_law():
    real, samples = sprites(400, 1), sprites(400, 2)
    good = generation_scores(real, samples, resamples=20)
    bad = generation_scores(real, samples.roll(5, dims=-1) * 0.7, resamples=20)
    assert set(good) == {
        f"{s}_posed" for s in ("fd", "kd", "precision", "recall", "density", "coverage")
    }
    assert not any("fid" in name.lower() for name in good)
    for name, score in good.items():
        sign = 1 if score.better == "higher" else -1
        assert sign * (score.value - score.floor) > 0, name
        assert sign * (score.value - bad[name].value) > 0, name
    assert good["fd_posed"].value < 4 * good["fd_posed"].ceiling
    assert good["fd_posed"].value < 0.02 * good["fd_posed"].floor


def test_images_may_come_in_batches():
    real, samples = sprites(200, 1), sprites(150, 2)
    whole = generation_scores(real, samples, resamples=2)
    parts = generation_scores(iter(real.split(64)), (b for b in samples.split(50)), resamples=2)
    for name, score in whole.items():
        assert parts[name].value == pytest.approx(score.value, rel=1e-3, abs=1e-5)


def test_another_network_needs_a_name():
    images = torch.rand(60, 1, 28, 28)
    with pytest.raises(ValueError, match="name must be given with a network of your own"):
        generation_scores(images, images, network=Flattened())
    scores = generation_scores(images, images, network=Flattened(), name="middle", resamples=2)
    assert scores["fd_middle"].value == pytest.approx(0, abs=1e-6)


# orientation


SCENES = {
    seed: Sprites(200, size=28, radius=(9.0, 11.0), shapes=("flag",), seed=seed) for seed in (1, 2)
}


@cache
def turned(seed: int, n: int = 200):
    """Sprites drawn anew at every angle: no resampling."""

    @cache
    def at(theta: float) -> torch.Tensor:
        rows = torch.arange(n)
        return SCENES[seed].render(rows, motion(theta).expand(n, 4).float(), 28)

    return at


def by_orientation(samples, **options):
    options = {"num_angles": 4, "resamples": 4, **options}
    return distance_by_orientation(turned(1), samples, **options)


def test_a_generator_that_turns_is_as_good_at_every_orientation():
    scores = by_orientation(turned(2))
    mean, spread = scores["fd_posed/orientation_mean"], scores["fd_posed/orientation_spread"]
    assert mean.value < 2 * mean.ceiling and mean.value < 0.02 * mean.floor
    assert spread.value < 0.5 * mean.value
    assert scores["fd_posed/orientation_worst"].value >= mean.value


def test_control_a_generator_that_does_not_turn():
    still = turned(2)(0.0)
    scores = by_orientation(lambda theta: still)
    mean, spread = scores["fd_posed/orientation_mean"], scores["fd_posed/orientation_spread"]
    assert mean.value > 20 * mean.ceiling and spread.value > 20 * spread.ceiling


def test_control_a_generator_that_fails_at_one_orientation():
    def weak(theta):
        images = turned(2)(theta)
        return images * 0.5 if math.isclose(theta, math.pi) else images

    scores = by_orientation(weak)
    assert scores["fd_posed/worst_angle"].value == pytest.approx(180)
    spread = scores["fd_posed/orientation_spread"]
    assert spread.value > 10 * spread.ceiling
    low, high = scores["fd_posed/orientation_worst"].interval
    assert low < scores["fd_posed/orientation_worst"].value < high


def test_orientation_needs_the_same_images_at_every_angle():
    with pytest.raises(ValueError, match="samples must give the same images at every angle"):
        by_orientation(lambda theta: turned(2, n=200 if theta == 0 else 150)(theta))
    with pytest.raises(ValueError, match="num_angles must be at least 2; got 1"):
        by_orientation(turned(2), num_angles=1)
    few = distance_by_orientation(turned(1, 50), turned(2, 50), num_angles=2)
    assert "more images than the 96 features" in few["fd_posed/orientation_mean"].reason
