"""The shipped feature network: intact, deterministic, and a judge of what it was made for."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eqvae.data.sources import MNIST5k, Sprites
from eqvae.metrics.generation.features import (
    WEIGHTS,
    FeatureNetwork,
    feature_metadata,
    image_features,
    load_features,
)
from eqvae.metrics.generation.frechet import frechet
from eqvae.symmetry.motions import motion
from tests.cases import move

KNOWN_SUM = -9.806


@pytest.fixture(scope="module")
def digits():
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(5))[:1200]
    return MNIST5k().load().images[order]


@pytest.fixture(scope="module")
def halves(digits):
    features = image_features(digits)
    return features[:600], features[600:]


def gaussian_blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    tap = torch.arange(-6, 7.0)
    kernel = torch.exp(-0.5 * (tap / sigma) ** 2)
    kernel = (kernel / kernel.sum())[None, None, None]
    return F.conv2d(F.conv2d(x, kernel, padding=(0, 6)), kernel.mT, padding=(6, 0))


def test_weights_are_small_intact_and_known():
    assert (WEIGHTS / "posed.pt").stat().st_size < 500_000
    network = load_features()
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    held_out = feature_metadata()["held_out"]
    assert held_out["digit_accuracy"] > 0.75 and held_out["sprite_accuracy"] > 0.9


def test_changed_weights_are_refused(tmp_path, monkeypatch):
    content = bytearray((WEIGHTS / "posed.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "posed.pt").write_bytes(content)
    monkeypatch.setattr("eqvae.metrics.generation.features.WEIGHTS", tmp_path)
    load_features.cache_clear()
    with pytest.raises(ValueError, match="not those of this version"):
        load_features()
    load_features.cache_clear()
    with pytest.raises(ValueError, match=r"name must be one of \['posed'\]; got 'inception'"):
        load_features("inception")


def test_features_are_deterministic(digits):
    first = image_features(digits[:64])
    np.testing.assert_array_equal(first, image_features(digits[:64]))
    np.testing.assert_allclose(first, image_features(digits[:64].split(7)), atol=1e-4)
    np.testing.assert_allclose(
        first, image_features((batch for batch in digits[:64].split(16)), batch_size=3), atol=1e-4
    )


def test_known_features_have_not_moved():
    """Sums over one drawn sprite: other numbers mean that scores are not comparable any more."""
    features = image_features(Sprites(4, seed=3).load().images)
    assert features.shape == (4, FeatureNetwork.num_features) and features.dtype == np.float64
    assert features.sum() == pytest.approx(KNOWN_SUM, abs=1e-2)


def test_the_unit_of_features_is_their_spread_over_images_in_random_pose(digits):
    angle = 2 * math.pi * torch.rand(500, generator=torch.Generator().manual_seed(0))
    images = move(motion(angle), F.pad(digits[:500], (4, 4, 4, 4))).clamp(0, 1)
    assert 0.5 < np.square(image_features(images)).mean() < 1.5


def test_colours_are_averaged(digits):
    rgb = digits[:8].repeat(1, 3, 1, 1)
    np.testing.assert_allclose(image_features(rgb), image_features(digits[:8]), atol=1e-4)


def test_sizes_show_the_same_object():
    """One sprite drawn on finer and finer grids has nearly the same features; another has not."""
    coarse = Sprites(20, size=48, radius=(14.0, 14.0), shapes=("flag",), seed=1)
    fine = Sprites(20, size=96, radius=(28.0, 28.0), shapes=("flag",), seed=1)
    other = Sprites(20, size=96, radius=(28.0, 28.0), shapes=("zed",), seed=1)
    a, b, c = (image_features(s.load().images[:1])[0] for s in (coarse, fine, other))
    assert np.linalg.norm(a - b) < 0.35 * np.linalg.norm(a - c)


def test_halves_are_near_and_damage_is_far(halves, digits):
    first, second = halves
    ceiling = frechet(first, second)
    moved = digits[600:].roll(4, dims=-1)
    shuffled = digits[600:].flatten(2)[..., torch.randperm(784)].reshape(-1, 1, 28, 28)
    for damaged in (moved, shuffled, 1 - digits[600:], digits[600:].clamp(0, 0.5)):
        assert frechet(first, image_features(damaged)) > 3 * ceiling


@pytest.mark.parametrize("damage", ["blur", "noise"])
def test_distance_grows_with_damage(halves, digits, damage):
    first, second = halves
    levels = {"blur": (0.7, 1.0, 1.5, 2.0, 3.0), "noise": (0.05, 0.1, 0.2, 0.3, 0.5)}[damage]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(digits[600:].shape, generator=generator)
    distances = [frechet(first, second)]
    for level in levels:
        if damage == "blur":
            images = gaussian_blur(digits[600:], level)
        else:
            images = digits[600:] + level * noise
        distances.append(frechet(first, image_features(images.clamp(0, 1))))
    assert distances == sorted(distances)
    assert distances[-1] > 20 * distances[0]


@pytest.mark.parametrize(
    "images, message",
    [
        (torch.rand(2, 1, 20, 20), "at least 24 x 24 pixels .* got 20"),
        (torch.rand(2, 1, 28, 30), "must be square"),
        (torch.rand(2, 28, 28), r"\(N, C, H, H\); got shape \(2, 28, 28\)"),
        (torch.rand(2, 1, 28, 28) * 255, r"must lie in \[0, 1\]"),
        (torch.full((2, 1, 28, 28), math.nan), "NaN or infinity"),
        (torch.ones(2, 1, 28, 28, dtype=torch.uint8), "got torch.uint8. Divide by 255"),
        (torch.rand(0, 1, 28, 28), "at least one image"),
        ([], "at least one image"),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        image_features(images)
