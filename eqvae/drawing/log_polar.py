"""Signals on rings as they lie in the plane: a tile of grey for each sample."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.domains.log_polar import LogPolarGrid


def draw_rings(axes: Axes, grid: LogPolarGrid, signal: Tensor, cmap: str = "gray") -> None:
    """Draw one signal on axes of the plane, y up, pixels.

    Args:
        axes: where.
        grid: the samples.
        signal: of one channel, (radii, angles).
        cmap: colour map.
    """
    r = grid.inner * np.exp((np.arange(grid.radii + 1) - 0.5) * grid.step)
    a = (np.arange(grid.angles + 1) - 0.5) * grid.turn
    x, y = r[:, None] * np.cos(a), r[:, None] * np.sin(a)
    axes.pcolormesh(x, y, torch.as_tensor(signal).detach().cpu().numpy(), cmap=cmap)
    axes.set_aspect("equal")
    axes.axis("off")
