"""What the classical peers do to every image: grey values, background, centre of mass, polar samples.

Positions are pixels from the image centre, x to the right and y up, as in eqvae.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor


def grey(images: np.ndarray) -> np.ndarray:
    """Mean over the channels, (N, H, H) float32."""
    return np.ascontiguousarray(images.mean(axis=1), dtype=np.float32)


def polarity(images: np.ndarray) -> float:
    """+1 if the objects of grey images (N, H, H) are brighter than their borders, -1 if darker."""
    # near the centre, as far as the objects reach, against the edge
    inner = images[:, *(2 * (slice(images.shape[-1] // 4, -(images.shape[-1] // 4)),))]
    return 1.0 if inner.mean() >= np.median(_border(images)) else -1.0


def foreground(images: np.ndarray, sign: float) -> np.ndarray:
    """Grey images (N, H, H) without the background, the median of each image's border."""
    return sign * (images - np.median(_border(images), axis=1)[:, None, None])


def mass(images: np.ndarray, blur: float) -> np.ndarray:
    """Foregrounds (N, H, H) smoothed, less what noise reaches, and not negative.

    Args:
        images: foregrounds.
        blur: standard deviation of a Gaussian that lowers the noise, pixels.
    """
    smooth = gaussian_filter(images, (0, blur, blur))
    edge = _border(smooth)
    # the borders of all images together say how much noise is left
    cut = np.median(edge, axis=1) + 2 * edge.std()
    return np.clip(smooth - cut[:, None, None], 0, None)


def centre_of_mass(images: np.ndarray, blur: float = 2.5) -> np.ndarray:
    """Centres of foregrounds (N, H, H), pixels, (N, 2); the image centre where there is no mass."""
    weight = mass(images, blur)
    line = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    x, y = weight.sum(axis=1) @ line, -(weight.sum(axis=2) @ line)
    return np.stack([x, y], axis=1) / (weight.sum(axis=(1, 2)) + 1e-9)[:, None]


def polar(images: Tensor, centres: Tensor, radii: Tensor, num_angles: int) -> Tensor:
    """Images (N, H, H) on circles about `centres` (N, 2): (N, R, num_angles), angles from +x to +y."""
    angles = torch.arange(num_angles) * (2 * math.pi / num_angles)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    points = centres[:, None, None, :] + radii[None, :, None, None] * circle
    return sample(images, points)


def sample(images: Tensor, points: Tensor) -> Tensor:
    """Grey values of images (N, H, H) at points (N, P, Q, 2): (N, P, Q), bilinear, zero outside."""
    scale = points.new_tensor([2, -2]) / (images.shape[-1] - 1)
    return F.grid_sample(
        images[:, None], points * scale, mode="bilinear", padding_mode="zeros", align_corners=True
    )[:, 0]


def _border(images: np.ndarray) -> np.ndarray:
    """The outermost ring of pixels, (N, 4 H - 4)."""
    sides = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    return np.concatenate(sides, axis=1)
