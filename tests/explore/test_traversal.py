"""Walks through the latent obey the laws they are named after."""

import math

import numpy as np
import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.explore.traversal import (
    by_spread,
    changed,
    content_directions,
    grid_picture,
    latent_traversal,
    orbit_grid,
)
from eqvae.symmetry import Representation, motion
from eqvae.training.checkpoint import load_vae

LATENT = Representation(multiplicities=(3, 2, 1), sign=1)


def test_directions_are_all_copies_but_the_position():
    directions = content_directions(LATENT)
    assert len(directions) == len(set(directions)) == LATENT.num_copies - 1
    assert ("psi2", 0) in directions


@pytest.mark.parametrize("block, copy", content_directions(LATENT))
def test_a_change_commutes_with_rotations_and_shifts(block, copy):
    z = torch.randn(5, LATENT.dim, dtype=torch.float64)
    g = motion(torch.rand(5) * 6, torch.randn(5, 2), dtype=torch.float64)
    one = changed(LATENT, LATENT.act(g, z), block, copy, 0.7)
    torch.testing.assert_close(one, LATENT.act(g, changed(LATENT, z, block, copy, 0.7)))
    assert (one != LATENT.act(g, z)).any()


def test_turning_every_pair_by_its_frequency_is_a_rotation():
    z = turned = torch.randn(5, LATENT.dim, dtype=torch.float64)
    for block, copy in content_directions(LATENT):
        if block in ("psi1", "psi2"):
            turned = changed(LATENT, turned, block, copy, 0.4 * int(block[-1]))
    g = motion(0.4, dtype=torch.float64).expand(5, 4)
    torch.testing.assert_close(turned[:, 2:], LATENT.act(g, z)[:, 2:])


def test_a_change_leaves_its_argument_alone():
    z = torch.randn(2, LATENT.dim)
    before = z.clone()
    changed(LATENT, z, "psi1", 0, 1.0)
    assert torch.equal(z, before)


def test_a_wrong_direction_says_which_are_right():
    z = torch.zeros(1, LATENT.dim)
    with pytest.raises(ValueError, match="block must be one of .*psi0.*; got 'psi9'"):
        changed(LATENT, z, "psi9", 0, 1.0)
    with pytest.raises(ValueError, match=r"copy must lie in 0\.\.1 for psi1; got 2"):
        changed(LATENT, z, "psi1", 2, 1.0)


def test_grids_of_a_model(tiny_run):
    vae = load_vae(tiny_run)
    x = Batch(torch.rand(1, 1, 33, 33))
    angles = torch.arange(4) * (math.pi / 2)
    shifts = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, -3.0]])
    grid = orbit_grid(vae, x, angles, shifts)
    with torch.no_grad():
        z = vae.encode(x).mode
        corner = vae.decode(vae.representation.act(motion(3 * math.pi / 2, (0.0, -3.0)), z))
        walk = latent_traversal(vae, z, "psi0", 0, [0.0, 1.0])
        torch.testing.assert_close(walk[:1], vae.decode(z))
    torch.testing.assert_close(grid[2, 3], corner[0])
    assert grid.shape == (3, 4, 1, 33, 33)
    assert not torch.equal(walk[0], walk[1])


def test_copies_are_ranked_by_how_much_they_vary(tiny_run):
    vae, x = load_vae(tiny_run), Batch(torch.rand(16, 1, 33, 33))
    block = next(b for b in vae.representation.blocks if b.name == "psi1")
    with torch.no_grad():
        pairs = vae.encode(x).mode[:, block.slice].unflatten(1, (block.copies, 2))
    spread = [pairs[:, copy].var(dim=0).sum().item() for copy in by_spread(vae, x, "psi1")]
    assert len(spread) == block.copies and spread == sorted(spread, reverse=True)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_picture_shows_every_tile_in_its_place(channels):
    levels = (torch.arange(6) / 5).reshape(2, 3, 1, 1, 1)
    picture = grid_picture(levels.expand(2, 3, channels, 4, 4), ["a", "b"], ["1", "2", "3"])
    shown = np.asarray(picture.convert("L")) / 255
    dark = np.argwhere(shown < 0.01)  # the first tile, and the letters
    top, left = dark.min(axis=0)
    for level, row, column in ((0.2, 0, 1), (0.4, 0, 2), (0.6, 1, 0), (0.8, 1, 1)):
        where = np.argwhere(np.abs(shown - level) < 0.01)
        height, width = where.mean(axis=0)
        assert height > top + row * 50 and width > left + column * 50
        assert len(where) > 1000
