"""From square pixels to scattered samples, and from rings back to pixels.

Samples that lie w >= 1 pixels apart see the image through a kernel that is w times as wide,

    y(p) = sum_q k((p - q)_x / w) k((p - q)_y / w) x(q) / w^2,

which cuts off the frequencies above pi / w that they could not tell apart. Beyond the image everything is 0.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates


def cubic(away: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2, of distances in samples.

    Reference: Keys: Cubic convolution interpolation for digital image processing (1981), eq. 15.
    """
    d = away.abs()
    near = (1.5 * d - 2.5) * d.square() + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d < 1, near, torch.where(d < 2, far, 0))


KERNELS: Mapping[str, Callable[[Tensor], Tensor]] = {"bicubic": cubic, "fourier": torch.sinc}


def sampled_at(x: Tensor, points: Tensor, width: Tensor, interpolation: str) -> Tensor:
    """Images (B, C, H, W) at points (B, P, 2), each through a kernel of its width (P,) pixels: (B, C, P).

    Raises:
        ValueError: if `interpolation` is not one of `KERNELS`.
    """
    if interpolation not in KERNELS:
        raise ValueError(f"interpolation must be one of {sorted(KERNELS)}; got {interpolation!r}.")
    height, side = x.shape[-2:]
    grid = pixel_coordinates(height, side, dtype=x.dtype).to(x.device)
    across = _weights(points[..., 0], grid[0, :, 0], width, interpolation)  # (B, P, W)
    up = _weights(points[..., 1], grid[:, 0, 1], width, interpolation)  # (B, P, H)
    rows = x @ across.mT[:, None]  # (B, C, H, P)
    return (rows * up.mT[:, None]).sum(dim=2)


def _weights(place: Tensor, axis: Tensor, width: Tensor, interpolation: str) -> Tensor:
    """What every pixel of an axis (H,) gives to samples at places (B, P), (B, P, H)."""
    kernel = KERNELS[interpolation]
    weights = kernel((place[..., None] - axis) / width[:, None])
    if interpolation == "fourier":
        return weights / width[:, None]
    # rows sum to 1 as they would on an endless grid, whatever the width
    reach = math.ceil(2 * float(width.max())) + 1
    steps = torch.arange(-reach, reach + 1, dtype=axis.dtype, device=axis.device)
    first = place - axis[0]
    offset = (first - first.floor())[..., None] - steps
    return weights / kernel(offset / width[:, None]).sum(dim=-1, keepdim=True)


def between_rings(y: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Signals (B, C, radii, angles) between their samples, cubic on (log r, angle): (B, C, P).

    Args:
        y: the signals; the rings at both ends are repeated.
        row, column: places in samples, (B, P).
    """
    radii, angles = y.shape[-2:]
    first_row, first_column = row.floor(), column.floor()
    batch = torch.arange(len(y), device=y.device)[:, None]
    by_place, total = y.movedim(1, -1), 0.0  # (B, radii, angles, C)
    for i in range(-1, 3):
        weight = cubic(row - first_row - i)
        k = (first_row.long() + i).clamp(0, radii - 1)
        for j in range(-1, 3):
            seen = by_place[batch, k, (first_column.long() + j) % angles]
            total = total + (weight * cubic(column - first_column - j))[..., None] * seen
    return total.movedim(-1, 1)
