"""Images scaled about the centre of their square grid, (g x)(p) = x(e^-s p), and what shrinking leaves out.

Shrinking by e^s, s < 0, leaves room for frequencies below pi e^s rad/pixel of the image before. `zoomed` cuts
there, sharply: it is exact for images below that band, the choice for measurement. `softened` blurs by a
Gaussian of variance (e^-2s - 1) / 4 before bicubic interpolation looks, as if pixels were that much wider: no
ringing, and shrinking twice blurs as much as shrinking once by the product.
"""

import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates

_PIXEL = 0.5  # pixels: standard deviation of what one pixel sees


def zoomed(x: Tensor, log_scale: Tensor, margin: int = 0) -> Tensor:
    """Images (B, C, H, H) scaled by e^s, s (B,), on canvases with a margin of so many pixels around.

    y_i = m sum_j sinc(m (i e^-s - j)) x_j,     m = min(1, e^s), i and j from the centre, on either axis
    """
    size = x.shape[-1]
    seen, points = _axis(size + 2 * margin, x), _axis(size, x)
    kept = log_scale.exp().clamp(max=1)[:, None, None]
    away = seen[:, None] * torch.exp(-log_scale)[:, None, None] - points
    return _on_both_axes(kept * torch.sinc(kept * away), x)


def softened(x: Tensor, log_scale: Tensor) -> Tensor:
    """Images (B, C, H, H) blurred as much as scaling by e^s, s (B,), will make their pixels wider."""
    smaller = log_scale < 0
    if not bool(smaller.any()):
        return x
    variance = _PIXEL**2 * (torch.exp(-2 * log_scale[smaller]) - 1)
    points = _axis(x.shape[-1], x)
    away = (points[:, None] - points).square()
    # rows sum to 1 as they would on an endless grid: what lies beyond the image is black
    endless = _axis(2 * x.shape[-1] + 1, x).square()
    whole = torch.exp(-0.5 * endless / variance[:, None]).sum(dim=1)
    kernel = torch.exp(-0.5 * away / variance[:, None, None]) / whole[:, None, None]
    blurred = x.clone()
    blurred[smaller] = _on_both_axes(kernel, x[smaller])
    return blurred


def _axis(size: int, like: Tensor) -> Tensor:
    return pixel_coordinates(1, size, dtype=like.dtype)[0, :, 0].to(like.device)


def _on_both_axes(matrix: Tensor, x: Tensor) -> Tensor:
    """matrix x matrix^T, one matrix (B, H', H) for each image."""
    return matrix[:, None] @ x @ matrix.mT[:, None]
