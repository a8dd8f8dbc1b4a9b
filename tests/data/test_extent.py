"""The size of objects: a disc has its own radius wherever it lies, noise has none."""

import pytest
import torch

from eqvae.data.extent import ground, object_radius
from eqvae.domains.grid import pixel_coordinates

SHIFTS = torch.tensor([[0.0, 0.0], [6.0, -3.0], [-5.0, 8.0], [2.5, 2.5]])


def discs(radius: float, ground: float = 0.0, size: int = 64) -> torch.Tensor:
    away = (pixel_coordinates(size, size) - SHIFTS[:, None, None]).norm(dim=-1)
    return (ground + 0.5 * (away <= radius)).float()[:, None].repeat(10, 1, 1, 1)


@pytest.mark.parametrize("radius", [5.0, 12.0, 20.0])
@pytest.mark.parametrize("ground", [0.0, 0.3])
def test_a_disc_has_its_own_radius_wherever_it_lies(radius, ground):
    share = 0.98  # of a disc's squares lies within sqrt(0.98) of its radius
    assert object_radius(discs(radius, ground), share) == pytest.approx(
        radius * share**0.5, abs=0.7
    )


def test_noise_adds_little_until_nothing_can_be_said():
    torch.manual_seed(0)
    noise = torch.randn(40, 1, 64, 64)
    clean = object_radius(discs(12.0))
    assert object_radius(discs(12.0, 0.3) + 0.05 * noise) == pytest.approx(clean, abs=1.0)
    assert object_radius(discs(12.0, 0.3) + 0.5 * noise) is None
    assert object_radius(0.5 + 0.1 * noise) is None and object_radius(0.0 * noise) is None


@pytest.mark.parametrize("share", [0.0, 1.0, 98])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ValueError, match=f"share must lie between 0 and 1; got {share}"):
        object_radius(discs(5.0), share)


def test_the_ground_is_the_median_of_the_borders_and_black_is_black():
    images = discs(12.0, 0.3).repeat(1, 3, 1, 1) * torch.tensor([1.0, 0.5, 0.03])[:, None, None]
    assert ground(images) == [0.3, 0.15, 0.0]
    torch.manual_seed(0)
    noisy = discs(12.0, 0.3) + 0.1 * torch.randn(40, 1, 64, 64)
    assert ground(noisy) == pytest.approx([0.3], abs=0.01)
