"""Hexagons that tile the plane, where the points lie, as bright as the image."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from eqvae.domains import HexagonalGrid
from eqvae.drawing.hexagons import draw_hexagons


def test_hexagons_tile_the_plane_and_show_the_values_where_they_are():
    grid, ax = HexagonalGrid(7), Figure().add_subplot()
    image = torch.rand(1, 7, 7)
    tiles = draw_hexagons(ax, image, grid)
    corners = np.stack([path.vertices[:6] for path in tiles.get_paths()])
    x, y = corners[..., 0], corners[..., 1]
    areas = 0.5 * (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    np.testing.assert_allclose(areas, grid.area)
    inside = grid.hexagon() > 0
    np.testing.assert_allclose(corners.mean(1), grid.points()[inside].numpy(), atol=1e-5)
    np.testing.assert_allclose(tiles.get_array(), image[0, inside].numpy())
    together = {tuple(c) for c in corners.reshape(-1, 2).round(4).tolist()}
    assert len(together) < 0.5 * corners.size / 2  # neighbours share their corners
    assert len(draw_hexagons(ax, torch.rand(3, 7, 7), grid, hexagon=False).get_paths()) == 49
    with pytest.raises(ValueError, match=r"image must be \(C, 7, 7\)"):
        draw_hexagons(ax, torch.rand(1, 8, 8), grid)
