"""The square pixel grid: where its points lie in the plane.

Positions are pixels from the image centre, x to the right, y up; row index i and column index j of an
H x W image lie at x = j - (W - 1) / 2, y = (H - 1) / 2 - i. Only this file converts between the two.
"""

import torch
from torch import Tensor


def pixel_coordinates(height: int, width: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Positions (x, y) of all pixels, shape (H, W, 2)."""
    dtype = dtype or torch.get_default_dtype()
    x = torch.arange(width, dtype=dtype) - (width - 1) / 2
    y = (height - 1) / 2 - torch.arange(height, dtype=dtype)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def disc_mask(size: int, radius: float | None = None) -> Tensor:
    """1 inside the disc about the centre (radius in pixels, default the inscribed one), (H, W)."""
    radius = size / 2 if radius is None else radius
    return (pixel_coordinates(size, size).norm(dim=-1) <= radius).float()


def border(x: Tensor) -> Tensor:
    """Values on the four sides of images (..., H, W), corners twice: (..., 2 H + 2 W)."""
    return torch.cat([x[..., 0, :], x[..., -1, :], x[..., :, 0], x[..., :, -1]], dim=-1)
