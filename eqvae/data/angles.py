"""Distributions of the angle that a posing draws.

Each is a map of angles that are uniform on the circle. So one seed gives related angles under all of
them, and only the distribution of the angle differs: every angle alike (`AnyAngle`), only some angles
(`LimitedAngles`), or some classes not turned at all (`UprightClasses`). With the last two the
distribution of the images changes when all of them are turned.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class Angles(ABC):
    """A distribution of angles."""

    @abstractmethod
    def of(self, uniform: Tensor, labels: Tensor | None) -> Tensor:
        """Angles of n images in radians, (n,).

        Args:
            uniform: independent angles, uniform on [0, 2 pi), (n,).
            labels: classes of the images, (n,) int64, for a distribution that depends on them.
        """


@dataclass(frozen=True)
class AnyAngle(Angles):
    """Uniform on the circle."""

    def of(self, uniform: Tensor, labels: Tensor | None) -> Tensor:
        return uniform


@dataclass(frozen=True)
class LimitedAngles(Angles):
    """Uniform on [-max_angle, max_angle]: angles of the whole circle, scaled down.

    Args:
        max_angle: degrees, above 0 and at most 180, which is the whole circle.
    """

    max_angle: float = 45.0

    def __post_init__(self):
        if not 0 < self.max_angle <= 180:
            raise ValueError(
                f"max_angle must be above 0 and at most 180 degrees; got {self.max_angle!r}. "
                "For no rotation use data/pose=upright."
            )

    def of(self, uniform: Tensor, labels: Tensor | None) -> Tensor:
        return ((uniform + math.pi) % (2 * math.pi) - math.pi) * (self.max_angle / 180)


@dataclass(frozen=True)
class UprightClasses(Angles):
    """0 for the images of some classes, uniform on the circle for all others.

    Args:
        classes: labels of the images that are never turned.
    """

    classes: Sequence[int] = (6, 9)

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or not all(isinstance(c, int) and c >= 0 for c in self.classes):
            raise ValueError(
                f"classes must be whole numbers of at least 0; got {list(self.classes)}. "
                "To turn every class use data/pose=rotated_shifted."
            )

    def of(self, uniform: Tensor, labels: Tensor | None) -> Tensor:
        """See `Angles.of`.

        Raises:
            ValueError: without labels, or if none of them is one of the classes.
        """
        if labels is None:
            raise ValueError(
                f"labels must be known to keep classes {list(self.classes)} upright; got none. "
                "Name them, such as data.source.label=label, or use data/pose=rotated_shifted."
            )
        upright = torch.isin(labels, torch.tensor(self.classes))
        if not upright.any():
            raise ValueError(
                f"classes must occur among the labels {labels.unique().tolist()[:20]}; "
                f"got {list(self.classes)}. Set data.pose.angles.classes."
            )
        return torch.where(upright, 0.0, uniform)
