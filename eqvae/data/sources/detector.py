"""The user's images from a detector with hexagonal pixels, such as the camera of a Cherenkov telescope."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from eqvae.data.formats.stored import Stored
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.layout import HexagonalLayout
from eqvae.data.sources.archive import Arrays, from_archive
from eqvae.data.sources.objects import Columns
from eqvae.data.sources.stored import absolute, brightness, grouped, numbered, survey
from eqvae.files import user_path


@dataclass(frozen=True)
class Detector:
    """Values of pixels (N, P) in an .npz archive, with the centres of the pixels in it or in a table.

    Pixels are laid onto the lattice that their centres form, without interpolation: with domain=hexagonal
        models see
    them so, with domain=square resampled. The image is turned so that rows of pixels lie level, and places
    without a pixel have the median of the image.

    Args:
        path: the archive.
        image: key of the values, (N, P).
        pixels: a table (CSV, TSV or Parquet) of the centres, a row for each pixel in the order of the
            values; None for the array `centres` (P, 2) of the archive.
        x, y: columns of the centres in that table, x to the right and y up, in any unit.
        centres: key of the centres in the archive.
        tolerance: how far a pixel may lie from its place on the lattice, in spacings.
        label: key of the class of each image, whole numbers or names.
        classes: names of classes that have a number already, in their order.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
        grey: how values are read.

    Raises:
        ValueError: if tolerance is not between 0 and 0.5.
    """

    path: str | None = None
    image: str = "images"
    pixels: str | None = None
    x: str = "x"
    y: str = "y"
    centres: str = "pixels"
    tolerance: float = 0.1
    label: str | None = None
    classes: Sequence[str] | None = None
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def __post_init__(self):
        if not 0 < self.tolerance < 0.5:
            raise ValueError(
                f"tolerance must be between 0 and 0.5 spacings of pixels; got {self.tolerance!r}."
            )

    def load(self) -> ImageSet:
        """Read the archive, and the table.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if one can't be read, lacks a key, or the pixels form no hexagonal lattice.
        """
        call = "images=values, pixels=centres"
        return from_archive(self.path, self._images, what="archive", call=call)

    def _images(self, arrays: Arrays) -> ImageSet:
        values = self._array(arrays, "image")
        layout = HexagonalLayout.of(self._centres(arrays), self.tolerance)
        if (
            values.ndim != 2
            or values.shape[1] != len(layout.axial)
            or values.dtype.kind not in "iufb"
        ):
            raise ValueError(
                f"image={self.image!r} must be numbers of shape (N, {len(layout.axial)}), one for each "
                f"pixel; got "
                f"{values.dtype} of shape {values.shape}. Give as many centres as there are pixels."
            )
        stored = Stored.array(layout.stored(values))
        seen = survey(stored)
        images, settings, said = brightness(stored, self.grey, ends=seen.ends)
        groups, twins = grouped(seen)
        labels, names, unknown = self._labels(arrays, len(values))
        about = (
            f"{len(layout.axial):,} hexagonal pixels {layout.spacing:g} apart, turned by "
            f"{-np.degrees(layout.orientation):.2f} degrees to level rows; {layout.missing} missing "
            f"inside; the worst "
            f"lies {layout.off:.3f} spacings beside its place"
        )
        return ImageSet(
            images,
            labels=labels,
            class_names=names,
            groups=groups,
            rows=torch.arange(len(images)),
            pixel_size=torch.full((len(images),), layout.pixel_size),
            settings={"path": absolute(self.path), **settings}
            | ({"pixels": absolute(self.pixels)} if self.pixels else {})
            | ({"classes": list(names)} if names else {}),
            said=(about, *said, *twins, *unknown),
            domain=layout.domain,
        ).usable(skip_unreadable=self.skip_unreadable)

    def _centres(self, arrays: Arrays) -> np.ndarray:
        if self.pixels is None:
            return self._array(arrays, "centres")
        table = Columns.read(user_path(self.pixels))
        return np.stack([table.numbers(self.x), table.numbers(self.y)], axis=1)

    def _labels(self, arrays: Arrays, count: int) -> tuple:
        """Numbers of the classes, their names if they have any, and lines about unknown ones."""
        if self.label is None:
            return None, None, []
        values = self._array(arrays, "label")
        if values.shape != (count,) or values.dtype.kind not in "iubUS":
            raise ValueError(
                f"label={self.label!r} must be one whole number or name for each of {count} images; got "
                f"{values.dtype} of shape {values.shape}."
            )
        if values.dtype.kind in "US":
            return numbered(values.astype(str).tolist(), self.classes)
        return torch.from_numpy(values.astype(np.int64)), None, []

    def _array(self, arrays: Arrays, argument: str) -> np.ndarray:
        key = getattr(self, argument)
        if key not in arrays:
            raise ValueError(
                f"{argument}={key!r} is not in {str(self.path)!r}; its keys are {list(arrays)}. Set "
                f"data.source.{argument}=KEY."
            )
        found = arrays[key]
        return found if isinstance(found, np.ndarray) else found[:]
