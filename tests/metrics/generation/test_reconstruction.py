"""Reconstruction scores against their definitions and torchmetrics, with the mean image as the floor."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from eqvae.data.sources import Sprites
from eqvae.metrics.generation.reconstruction import reconstruction_scores


@pytest.fixture(scope="module")
def sprites():
    return Sprites(60).load().images


def noisy(x: torch.Tensor, sigma: float) -> torch.Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x + sigma * noise


def test_scores_are_means_over_images(sprites):
    y = noisy(sprites, 0.1)
    scores = reconstruction_scores(sprites, y)
    squared = (sprites - y).double().square().mean(dim=(1, 2, 3))
    assert scores["mse"].value == pytest.approx(squared.mean().item())
    assert scores["psnr"].value == pytest.approx((-10 * squared.log10()).mean().item())
    psnr = PeakSignalNoiseRatio(data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    assert scores["psnr"].value == pytest.approx(psnr(y, sprites).item(), abs=1e-4)
    ssim = StructuralSimilarityIndexMeasure(data_range=1.0)
    assert scores["ssim"].value == pytest.approx(ssim(y, sprites).item(), abs=1e-4)


def test_noise_of_known_size_gives_known_decibels():
    x = torch.full((40, 1, 32, 32), 0.5)
    scores = reconstruction_scores(x, noisy(x, 0.1))
    assert scores["psnr"].value == pytest.approx(20, abs=0.1)
    low, high = scores["psnr"].interval
    assert low < scores["psnr"].value < high


def test_the_mean_image_scores_the_floor(sprites):
    mean = sprites.double().mean(dim=0).float().expand_as(sprites)
    for score in reconstruction_scores(sprites, mean).values():
        assert score.value == pytest.approx(score.floor, abs=1e-9)
    better = reconstruction_scores(sprites, noisy(sprites, 0.02))
    assert better["mse"].value < better["mse"].floor
    assert (
        better["psnr"].value > better["psnr"].floor and better["ssim"].value > better["ssim"].floor
    )


def test_perfect_reconstructions_have_no_decibels(sprites):
    scores = reconstruction_scores(sprites, sprites)
    assert scores["mse"].value == 0 and scores["ssim"].value == pytest.approx(1)
    assert scores["psnr"].value is None and "infinite decibels" in scores["psnr"].reason


def test_tiny_images_have_no_ssim():
    x = torch.rand(4, 1, 8, 8)
    scores = reconstruction_scores(x, x * 0.9)
    assert "at least 11 pixels; got 8" in scores["ssim"].reason and scores["mse"].value > 0


def test_images_of_one_source_widen_the_interval(sprites):
    repeated = sprites[:10].repeat(6, 1, 1, 1)
    y = noisy(sprites[:10], 0.1).repeat(6, 1, 1, 1)
    groups = np.tile(np.arange(10), 6)
    width = [
        np.ptp(reconstruction_scores(repeated, y, groups=g)["mse"].interval) for g in (None, groups)
    ]
    assert width[1] > 1.8 * width[0]  # sqrt(6) = 2.4


@pytest.mark.parametrize(
    "x, y, message",
    [
        (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 15), "same shape"),
        (torch.rand(2, 1, 16, 16) * 255, torch.rand(2, 1, 16, 16), r"images must lie in \[0, 1\]"),
        (
            torch.rand(2, 1, 16, 16),
            torch.full((2, 1, 16, 16), math.nan),
            "reconstructions must be finite",
        ),
        (torch.ones(2, 1, 16, 16, dtype=torch.uint8), torch.rand(2, 1, 16, 16), "Divide by 255"),
        (torch.rand(2, 16, 16), torch.rand(2, 16, 16), r"images must be \(N, C, H, W\)"),
    ],
)
def test_bad_images_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        reconstruction_scores(x, y)
