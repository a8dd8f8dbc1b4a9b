"""Images of a hexagonal lattice drawn as what they are: one hexagon for each point."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from torch import Tensor

from eqvae.domains import HexagonalGrid


def draw_hexagons(
    ax: Axes, image: Tensor, domain: HexagonalGrid, *, hexagon: bool = True, colours: str = "gray"
) -> PolyCollection:
    """Draw an image where its points lie, x to the right and y up, pixels.

    Args:
        ax: the axes; they become as wide as high.
        image: (C, H, H) in [0, 1]; three channels are colours, others are averaged.
        domain: where it lives.
        hexagon: whether the sharp corners of the rhombus are left out.
        colours: name of matplotlib's map for grey images.

    Raises:
        ValueError: if the image is not of the domain.
    """
    if image.dim() != 3 or tuple(image.shape[1:]) != domain.shape:
        raise ValueError(
            f"image must be (C, {domain.size}, {domain.size}) for this lattice; got {tuple(image.shape)}."
        )
    shown = domain.hexagon().bool() if hexagon else torch.ones(domain.shape, dtype=torch.bool)
    centres = domain.points(dtype=torch.float64)[shown].numpy()
    corner = (
        torch.arange(6) * (math.pi / 3) + math.pi / 6
    )  # rows are level: hexagons stand on a tip
    corners = (
        domain.spacing / math.sqrt(3) * torch.stack([corner.cos(), corner.sin()], dim=1).numpy()
    )
    values = image.detach().float().cpu().clamp(0, 1)[:, shown]
    tiles = PolyCollection(centres[:, None] + corners, edgecolors="face", linewidths=0.2)
    if len(values) == 3:
        tiles.set_facecolor(values.T.numpy())
    else:
        tiles.set_array(values.mean(dim=0).numpy())
        tiles.set(cmap=colours, clim=(0, 1))
    ax.add_collection(tiles)
    ax.set_aspect("equal")
    ax.autoscale_view()
    return tiles
