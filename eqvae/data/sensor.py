"""Sensors: what the pixels of a camera are, and so which domain the images that it takes live on.

Objects are posed and seen by the camera on square pixels, or on the hexagonal lattice that a source has
them on. The sensor then takes the picture: it keeps square pixels, or resamples them onto a hexagonal
lattice, once.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from eqvae.domains.grid import border
from eqvae.domains.hexagonal import SAME_BAND, HexagonalGrid
from eqvae.domains.square import SquareGrid

Grid = SquareGrid | HexagonalGrid


class Sensor(ABC):
    """What pictures are taken on."""

    @abstractmethod
    def domain(self, scene: Grid) -> Grid:
        """Where pictures live of scenes that live there."""

    @abstractmethod
    def read(self, images: Tensor, scene: Grid) -> Tensor:
        """Pictures (B, C, *shape) of `domain` of scenes (B, C, *shape), in [0, 1] both."""

    def read_mask(self, masks: Tensor, scene: Grid) -> Tensor:
        """Which pixels of the pictures belong to the object, of masks (B, 1, *shape) of 0 and 1."""
        return (self.read(masks, scene) > 0.5).float()


@dataclass(frozen=True)
class SquareSensor(Sensor):
    """Square pixels: square images as they are, those of a hexagonal lattice resampled by splines."""

    def domain(self, scene: Grid) -> SquareGrid:
        return scene if isinstance(scene, SquareGrid) else SquareGrid(_square_side(scene))

    def read(self, images: Tensor, scene: Grid) -> Tensor:
        if isinstance(scene, SquareGrid):
            return images
        return scene.to_pixels(images, _square_side(scene)).clamp(
            0, 1
        )  # splines overshoot at edges


@dataclass(frozen=True)
class HexagonalSensor(Sensor):
    """Hexagonal pixels: images of the same lattice as they are, square ones resampled by splines.

    The lattice is the smallest that holds the inscribed disc of the square; what lies in the corners beyond
    the square is as grey as the median of the image's border.

    Args:
        spacing: of neighbours, pixels of the square images; 2 / sqrt(3), where rows are one pixel apart,
            holds all their frequencies.

    Raises:
        ValueError: if the spacing is not positive.
    """

    spacing: float = SAME_BAND

    def __post_init__(self) -> None:
        if not 0 < self.spacing < math.inf:
            raise ValueError(f"spacing must be positive, pixels; got {self.spacing!r}.")

    def domain(self, scene: Grid) -> HexagonalGrid:
        if isinstance(scene, HexagonalGrid):
            if not math.isclose(scene.spacing, self.spacing, rel_tol=1e-6):
                raise ValueError(
                    f"spacing must be {scene.spacing:.6g}, that of the lattice which the images are on; got "
                    f"{self.spacing:.6g}. Leave domain.spacing out."
                )
            return scene
        rows = math.ceil(scene.size / (self.spacing * math.sqrt(3) / 2) - 1e-6)
        return HexagonalGrid(rows + 1 - rows % 2, spacing=self.spacing)

    def read(self, images: Tensor, scene: Grid) -> Tensor:
        if isinstance(scene, HexagonalGrid):
            return images
        grey = border(images).median(dim=-1).values[..., None, None]
        read = self.domain(scene).from_pixels(images - grey) + grey
        return read.clamp(0, 1)  # splines overshoot at edges


def _square_side(lattice: HexagonalGrid) -> int:
    return round(2 * lattice.radius)
