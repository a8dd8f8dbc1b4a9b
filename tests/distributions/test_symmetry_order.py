"""The order of an object's symmetry is read from the modes of the posterior over its angle."""

import math

import pytest
import torch

from eqvae.distributions.symmetry_order import symmetry_order


def modes(*weights: float, width: float = 0.05) -> torch.Tensor:
    """log density of modes 2 pi / k apart on a grid of 512 angles, (1, 512)."""
    grid = torch.arange(512, dtype=torch.float64) * (2 * math.pi / 512)
    density = sum(
        w * torch.exp((torch.cos(grid - 2 * math.pi * j / len(weights)) - 1) / width**2)
        for j, w in enumerate(weights)
    )
    return (density / density.mean()).log()[None]


def test_unequal_and_narrow_modes():
    assert symmetry_order(modes(1, 1, 1, 1, width=0.02)) == 4
    assert symmetry_order(modes(0.6, 0.4)) == 2
    assert symmetry_order(modes(0.8, 0.2)) == 1
    assert symmetry_order(modes(1, 1, 1), max_order=2) == 1
    assert symmetry_order(torch.zeros(1, 64)) == 0  # any turn looks the same


def test_orders_of_many_objects():
    together = torch.cat([modes(*[1.0] * k) for k in (1, 2, 3, 5)])
    assert symmetry_order(together).tolist() == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symmetry_order(modes(1), max_order=0), "max_order must be a whole number >= 1"),
        (lambda: symmetry_order(modes(1), max_order=200), "at least 4 max_order = 800 grid angles"),
        (lambda: symmetry_order(modes(1)[0]), r"log_density must be \(N, P\)"),
        (lambda: symmetry_order(modes(1) * torch.nan), "log_density must be finite"),
        (lambda: symmetry_order(modes(1) - 1), r"respect to d theta / 2 pi.*0.3679"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
