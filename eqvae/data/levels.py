"""Posings that break the symmetry of the images by construction, each in one way.

Under `RotatedShifted` the law of the images does not change when all of them are turned. Here it does:
only some angles occur (`LimitedRotation`), one class is never turned (`UprightClasses`), the images
turn under A SE(2) A^-1 with a stretch A, so SE(2) is the wrong group (`Stretched`), or they turn under
a light that stays where it is, so SE(2) is an approximation (`Lit`). Shifts, sizes and seeds mean what
they mean for `RotatedShifted`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.data.posing import Posing, RotatedShifted
from eqvae.domains.grid import pixel_coordinates


@dataclass(frozen=True)
class LimitedRotation(Posing):
    """Angle uniform on [-max_angle, max_angle], shifts as of `RotatedShifted`.

    With max_angle = 180 the motions are those of `RotatedShifted`; below, its angles are scaled down.

    Args:
        size: side of the posed images in pixels; None keeps the source's.
        max_angle: degrees, above 0 and at most 180.
        shift_scale, max_shift, seed: see `RotatedShifted`.
    """

    size: int | None = 50
    max_angle: float = 45.0
    shift_scale: float = 5.0
    max_shift: float = 10.0
    seed: int = 0

    def __post_init__(self):
        _rotated_shifted(self)
        if not 0 < self.max_angle <= 180:
            raise ValueError(
                f"max_angle must be above 0 and at most 180 degrees; got {self.max_angle!r}. "
                "For no rotation use data/pose=upright."
            )

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        g = _rotated_shifted(self).draw(n)
        g[:, 1] = ((g[:, 1] + math.pi) % (2 * math.pi) - math.pi) * (self.max_angle / 180)
        return g


@dataclass(frozen=True)
class UprightClasses(Posing):
    """Images of some classes are only shifted, all others move as under `RotatedShifted`.

    Args:
        size: side of the posed images in pixels; None keeps the source's.
        classes: labels of the images that are never turned.
        shift_scale, max_shift, seed: see `RotatedShifted`.
    """

    size: int | None = 50
    classes: Sequence[int] = (6, 9)
    shift_scale: float = 5.0
    max_shift: float = 10.0
    seed: int = 0

    def __post_init__(self):
        _rotated_shifted(self)
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or not all(isinstance(c, int) and c >= 0 for c in self.classes):
            raise ValueError(
                f"classes must be whole numbers of at least 0; got {list(self.classes)}. "
                "To turn every class use data/pose=rotated_shifted."
            )

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        """See `Posing.draw`.

        Raises:
            ValueError: without labels, or if none of them is one of the classes.
        """
        if labels is None:
            raise ValueError(
                f"labels must be known to keep classes {list(self.classes)} upright; got none. "
                "Name them, such as data.label=label, or use data/pose=rotated_shifted."
            )
        upright = torch.isin(labels, torch.tensor(self.classes))
        if not upright.any():
            raise ValueError(
                f"classes must occur among the labels {labels.unique().tolist()[:20]}; "
                f"got {list(self.classes)}. Set data.pose.classes."
            )
        g = _rotated_shifted(self).draw(n)
        g[upright, 1] = 0
        return g


@dataclass(frozen=True)
class Stretched(Posing):
    """Posed by `RotatedShifted`, then stretched by the camera: (A x)(p) = x(A^-1 p).

    A (x, y) = (s x, y / s) with s = sqrt(stretch) keeps areas, and what lies within H / 2 s of the
    centre stays in the frame. One bicubic resampling more.

    Args:
        size: side of the posed images in pixels; None keeps the source's.
        stretch: s^2, what a square's width is to its height in the picture; above 0, 1 is no stretch.
        shift_scale, max_shift, seed: see `RotatedShifted`.
    """

    size: int | None = 50
    stretch: float = 1.5
    shift_scale: float = 5.0
    max_shift: float = 10.0
    seed: int = 0

    def __post_init__(self):
        _rotated_shifted(self)
        if not 0 < self.stretch < math.inf:
            raise ValueError(
                f"stretch must be positive; got {self.stretch!r}. For no stretch use 1."
            )

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        return _rotated_shifted(self).draw(n)

    def camera(self, images: Tensor) -> Tensor:
        s = math.sqrt(self.stretch)
        size = images.shape[-1]
        points = pixel_coordinates(size, size).to(images)
        # A^-1 p in the units of grid_sample, whose y points down
        grid = points * points.new_tensor([1 / s, -s]) * (2 / (size - 1))
        grid = grid.expand(len(images), -1, -1, -1)
        stretched = F.grid_sample(images, grid, "bicubic", "zeros", align_corners=True)
        return stretched.clamp(0, 1)


@dataclass(frozen=True)
class Lit(Posing):
    """Posed by `RotatedShifted`, then lit from the right of the frame.

    Images are multiplied by (1 + strength * x / X) / (1 + strength), with X the x of the rightmost pixels:
    by 1 there, so that nothing is clipped.

    Args:
        size: side of the posed images in pixels; None keeps the source's.
        strength: of the gradient, from 0 (none) to 1 (dark at the left edge).
        shift_scale, max_shift, seed: see `RotatedShifted`.
    """

    size: int | None = 50
    strength: float = 0.5
    shift_scale: float = 5.0
    max_shift: float = 10.0
    seed: int = 0

    def __post_init__(self):
        _rotated_shifted(self)
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength must be from 0 to 1; got {self.strength!r}. For even light use 0."
            )

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        return _rotated_shifted(self).draw(n)

    def camera(self, images: Tensor) -> Tensor:
        x = pixel_coordinates(*images.shape[-2:])[..., 0].to(images)
        return images * ((1 + self.strength * x / x.max()) / (1 + self.strength))


def _rotated_shifted(posing: Posing) -> RotatedShifted:
    """The motions that all of these start from; made once at construction for its checks."""
    return RotatedShifted(posing.size, posing.shift_scale, posing.max_shift, posing.seed)
