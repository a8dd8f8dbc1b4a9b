"""Cameras: what becomes of a posed image in a camera that stays where it is while the objects move.

A camera breaks the symmetry of the images: under a stretch A they turn under A SE(2) A^-1, so SE(2) is
the wrong group; under a light from one side SE(2) is an approximation. True poses are those before the
camera.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates


class Camera(ABC):
    """What a fixed camera makes of images (B, C, H, H): it places them in the frame, then exposes them."""

    @abstractmethod
    def place(self, images: Tensor) -> Tensor:
        """Images, or masks, where they lie in the picture."""

    @abstractmethod
    def expose(self, images: Tensor) -> Tensor:
        """Placed images in [0, 1] as bright as the camera shows them, in [0, 1]."""

    def take(self, images: Tensor) -> Tensor:
        """The pictures of images in [0, 1], of the same shape and range."""
        return self.expose(self.place(images))


@dataclass(frozen=True)
class PlainCamera(Camera):
    """Images as they are."""

    def place(self, images: Tensor) -> Tensor:
        return images

    def expose(self, images: Tensor) -> Tensor:
        return images


@dataclass(frozen=True)
class Stretch(Camera):
    """Stretched along the camera's x: (A x)(p) = x(A^-1 p).

    A (x, y) = (s x, y / s) with s = sqrt(stretch) keeps areas, and what lies within H / 2 s of the
    centre stays in the frame. One bicubic resampling more.

    Args:
        stretch: s^2, what a square's width is to its height in the picture; above 0, 1 is no stretch.
    """

    stretch: float = 1.5

    def __post_init__(self):
        if not 0 < self.stretch < math.inf:
            raise ValueError(
                f"stretch must be positive; got {self.stretch!r}. For no stretch use 1."
            )

    def place(self, images: Tensor) -> Tensor:
        s = math.sqrt(self.stretch)
        size = images.shape[-1]
        points = pixel_coordinates(size, size).to(images)
        # A^-1 p in the units of grid_sample, whose y points down
        grid = points * points.new_tensor([1 / s, -s]) * (2 / (size - 1))
        grid = grid.expand(len(images), -1, -1, -1)
        stretched = F.grid_sample(images, grid, "bicubic", "zeros", align_corners=True)
        return stretched.clamp(0, 1)

    def expose(self, images: Tensor) -> Tensor:
        return images


@dataclass(frozen=True)
class Light(Camera):
    """Lit from the right of the frame.

    Images are multiplied by (1 + strength * x / X) / (1 + strength), with X the x of the rightmost pixels:
    by 1 there, so that nothing is clipped.

    Args:
        strength: of the gradient, from 0 (none) to 1 (dark at the left edge).
    """

    strength: float = 0.5

    def __post_init__(self):
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength must be from 0 to 1; got {self.strength!r}. For even light use 0."
            )

    def place(self, images: Tensor) -> Tensor:
        return images

    def expose(self, images: Tensor) -> Tensor:
        x = pixel_coordinates(*images.shape[-2:])[..., 0].to(images)
        return images * ((1 + self.strength * x / x.max()) / (1 + self.strength))
