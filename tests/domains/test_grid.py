"""The pixel grid: corners by hand, and the disc."""

import math

import torch

from eqvae.domains import disc_mask, pixel_coordinates


def test_corners_of_an_odd_and_an_even_grid():
    odd = pixel_coordinates(3, 3)
    assert odd[0, 0].tolist() == [-1, 1]  # row 0 is the top: y is up
    assert odd[0, 2].tolist() == [1, 1]
    assert odd[2, 0].tolist() == [-1, -1]
    assert odd[1, 1].tolist() == [0, 0]
    even = pixel_coordinates(4, 2)
    assert even.shape == (4, 2, 2)
    assert even[0, 0].tolist() == [-0.5, 1.5]
    assert even[3, 1].tolist() == [0.5, -1.5]


def test_the_grid_is_centred_and_has_the_type_asked_for():
    for size in (4, 5):
        points = pixel_coordinates(size, size, dtype=torch.float64)
        assert points.dtype == torch.float64
        assert points.mean(dim=(0, 1)).tolist() == [0, 0]


def test_the_disc_is_inscribed_and_the_same_under_quarter_turns_and_mirrors():
    for size in (20, 21):
        mask = disc_mask(size)
        assert torch.equal(mask, torch.rot90(mask)) and torch.equal(mask, mask.flip(0))
        assert mask[size // 2, 0] == 1 and mask[0, 0] == 0
        assert abs(mask.sum().item() / (math.pi * size**2 / 4) - 1) < 0.03
    assert disc_mask(5, radius=1).sum() == 5  # the centre and its four neighbours
