"""At which sizes images and templates are compared: one, or bins of the log-scale about that of the view.

The bins of an `ExactPose` are a product: chiralities, sizes, shifts, angles. What the axis of sizes adds is
here, so that the search need not ask whether there is one.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqvae.pose.space import View
from eqvae.symmetry.motions import with_log_scale

_GROWTH = "growth"  # the tangent, see `TemplateSpace.derivative`


class Sizes(ABC):
    """The axis of sizes of a search.

    Attributes:
        count: K, bins on the axis.
        tangents: names of the tangents that it adds to those of angle and shift.
    """

    count: int = 1
    tangents: tuple[str, ...] = ()

    @abstractmethod
    def windows(self, window: float) -> list[float]:
        """Standard deviations of the bins' windows, of a share of the spacing."""

    @abstractmethod
    def log_volume(self, window: float) -> float:
        """Log of the length on this axis that a bin stands for."""

    @abstractmethod
    def views(self, view: View) -> View:
        """The images of a view (B,) at every size, (B K,)."""

    @abstractmethod
    def own(self, view: View, pixels: Tensor) -> Tensor:
        """Lengths in pixels of the objects at scale 1, (J, 2), in those of each image, (B or 1, J, 2)."""

    @abstractmethod
    def log_area(self, view: View) -> Tensor | float:
        """Log of the area of such a pixel in the image, (B, 1) or 0."""

    @abstractmethod
    def posed(self, view: View, g: Tensor) -> Tensor:
        """Motions (B, N, 4) with the scale of the view that they are bins of."""


class OneSize(Sizes):
    """Objects have no scale."""

    def windows(self, window: float) -> list[float]:
        return []

    def log_volume(self, window: float) -> float:
        return 0.0

    def views(self, view: View) -> View:
        return view

    def own(self, view: View, pixels: Tensor) -> Tensor:
        return pixels[None]

    def log_area(self, view: View) -> float:
        return 0.0

    def posed(self, view: View, g: Tensor) -> Tensor:
        return g


class ScaleBins(Sizes):
    """Bins of the log-scale, `spacing` apart, up to `reach` from the log-scale that the view has.

    Args:
        reach: 0 trusts the view to about a spacing, which the tangent then mends.
        spacing: also how far within a bin the image is linear in the log-scale.

    Raises:
        ValueError: if one of them is out of its range.
    """

    tangents = (_GROWTH,)

    def __init__(self, reach: float = 0.0, spacing: float = 0.1):
        if not (0 <= reach < math.inf) or not spacing > 0:
            raise ValueError(
                f"scale_reach must be >= 0 and scale_spacing > 0, of log-scales, such as 0.5 and 0.1 for "
                f"scales from 0.6 to 1.6; got {reach} and {spacing}."
            )
        steps = int(reach / spacing + 1e-9)
        self.spacing = spacing
        self.offsets = tuple(k * spacing for k in range(-steps, steps + 1))
        self.count = len(self.offsets)

    def windows(self, window: float) -> list[float]:
        return [window * self.spacing]

    def log_volume(self, window: float) -> float:
        if self.count > 1:
            return math.log(self.spacing)
        return math.log(math.sqrt(2 * math.pi) * window * self.spacing)

    def views(self, view: View) -> View:
        if view.log_scale is None:
            raise ValueError(
                "images must be seen at a log-scale for a search over scales; got a view without one. Use "
                "space.look(x, t, log_scale=s), 0 for the size of the basis."
            )
        if self.count == 1:
            return view
        offsets = torch.tensor(self.offsets).to(view.log_scale)
        return view.repeated(self.count, (view.log_scale[:, None] + offsets).flatten())

    def own(self, view: View, pixels: Tensor) -> Tensor:
        return pixels * view.log_scale.exp()[:, None, None]

    def log_area(self, view: View) -> Tensor:
        return 2 * view.log_scale[:, None]

    def posed(self, view: View, g: Tensor) -> Tensor:
        return with_log_scale(g, view.log_scale[:, None].expand(g.shape[:2]))
