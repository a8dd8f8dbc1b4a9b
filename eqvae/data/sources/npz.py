"""The user's images from one .npz archive of numpy."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.sources.archive import Arrays, from_archive
from eqvae.data.sources.stored import absolute, brightness, grouped, numbered, survey
from eqvae.symmetry.motions import identity


@dataclass(frozen=True)
class Npz:
    """Images (N, H, H), (N, C, H, H) or (N, H, H, C) in an .npz archive.

    Arrays of Python objects are left alone: reading them would run what they hold.

    Args:
        path: the archive.
        image: key of the images; None takes `images`, or else the only 3-D or 4-D array.
        label: key of the class of each image (whole numbers, or names that are then numbered in
            alphabetical order, after those of `classes`).
        classes: names of classes that have a number already, in their order.
        group: key of what must not be torn apart by the split, such as the source micrograph.
        mask: key of which pixels are the object: (N, H, H) of 0 and 1, or bits (N, H * H / 8) as
            `numpy.packbits(mask.reshape(N, -1), axis=1)` makes them. All others are set to 0.
        mask_margin: pixels around the mask, in every direction, that are kept as well.
        neighbours: keep all pixels, for masks that are to be learned from images as they are.
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
        grey: how grey values are read.
    """

    path: str | None = None
    image: str | None = None
    label: str | None = None
    group: str | None = None
    mask: str | None = None
    mask_margin: int = 2
    neighbours: bool = False
    aligned: bool = False
    skip_unreadable: bool = False
    classes: Sequence[str] | None = None
    grey: Grey = Grey()

    def __post_init__(self):
        if not isinstance(self.mask_margin, int) or self.mask_margin < 0:
            raise ValueError(
                "mask_margin must be a whole number of pixels, at least 0; "
                f"got {self.mask_margin!r}. For the mask as it is use 0."
            )

    def load(self) -> ImageSet:
        """Read the archive.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no archive, lacks a key, or holds images that cannot be used.
        """
        return from_archive(self.path, self._images, what=".npz archive", call="images=images")

    def _images(self, arrays: "Arrays") -> ImageSet:
        stored = arrays.stored(self._image_key(arrays))
        masks = None if self.mask is None else self._masks(arrays, stored.shape)
        keep = None if masks is None or self.neighbours else dilated(masks, self.mask_margin)
        seen = survey(stored)
        images, settings, said = brightness(stored, self.grey, keep, seen.ends)
        labels, names, unknown = self._classes(arrays)
        groups, twins = grouped(seen, self._groups(arrays))
        return ImageSet(
            images,
            labels=labels,
            class_names=names,
            groups=groups,
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
            masks=None if masks is None else torch.from_numpy(masks[:, None]),
            rows=torch.arange(len(images)),
            settings={"path": absolute(self.path), **settings}
            | ({"classes": list(names)} if names else {}),
            said=(*said, *twins, *unknown),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _image_key(self, arrays: "Arrays") -> str:
        if self.image is not None:
            self._check_key(arrays, "image")
            return self.image
        if "images" in arrays:
            return "images"
        candidates = [k for k in arrays if arrays.ndim(k) in (3, 4) and k != self.mask]
        if len(candidates) != 1:
            raise ValueError(
                f"image must name the images in {str(self.path)!r}, which has "
                f"{len(candidates)} arrays of 3 or 4 dimensions; its keys are {list(arrays)}. "
                "Set data.source.image=KEY."
            )
        return candidates[0]

    def _check_key(self, arrays: "Arrays", argument: str) -> None:
        if getattr(self, argument) not in arrays:
            raise ValueError(
                f"{argument}={getattr(self, argument)!r} is not in {str(self.path)!r}; "
                f"its keys are {list(arrays)}."
            )

    def _masks(self, arrays: "Arrays", shape: tuple[int, int, int, int]) -> np.ndarray:
        """Which pixels of images of this shape (N, C, H, W) are the object, (N, H, W) bool."""
        self._check_key(arrays, "mask")
        masks = arrays[self.mask]
        number, _, height, width = shape
        bits = (number, -(-height * width // 8))
        if masks.shape == bits and masks.dtype == np.uint8:
            masks = np.unpackbits(masks, axis=1, count=height * width)
            masks = masks.reshape(number, height, width)
        if masks.shape != (number, height, width) or masks.dtype not in (bool, np.uint8):
            raise ValueError(
                f"mask={self.mask!r} must be bool or uint8 of shape {(number, height, width)}, or "
                f"packed bits, uint8 of shape {bits}; got {masks.dtype} of shape {masks.shape}."
            )
        if masks.max(initial=0) > 1:
            raise ValueError(
                f"mask={self.mask!r} must be 1 on the object and 0 elsewhere; it reaches to "
                f"{masks.max()}. Store masks == NUMBER_OF_THE_OBJECT."
            )
        return masks.astype(bool)

    def _classes(self, arrays: "Arrays") -> tuple[Tensor | None, tuple[str, ...] | None, list[str]]:
        """Numbers of the classes, their names if they have any, and lines about unknown ones."""
        values = self._each(arrays, "label")
        if values is None:
            return None, None, []
        if values.dtype.kind in "US":
            return numbered(values.astype(str).tolist(), self.classes)
        return torch.from_numpy(values.astype(np.int64)), None, []

    def _groups(self, arrays: "Arrays") -> Tensor | None:
        values = self._each(arrays, "group")
        if values is not None and values.dtype.kind in "US":
            values = np.unique(values, return_inverse=True)[1]
        return None if values is None else torch.from_numpy(values.astype(np.int64))

    def _each(self, arrays: "Arrays", argument: str) -> np.ndarray | None:
        """One whole number or name for each image, from the array that an argument names."""
        key = getattr(self, argument)
        if key is None:
            return None
        self._check_key(arrays, argument)
        values = arrays[key]
        if values.ndim != 1 or values.dtype.kind not in "iubUS":
            raise ValueError(
                f"{argument}={key!r} must be one whole number or name for each image; "
                f"got {values.dtype} of shape {values.shape}."
            )
        return values


def dilated(masks: np.ndarray, margin: int) -> np.ndarray:
    """Masks (N, H, W) with all pixels that lie no farther than `margin` pixels from them."""
    height, width = masks.shape[1:]
    padded = np.pad(masks, ((0, 0), (margin, margin), (margin, margin)))
    wide = np.zeros_like(masks)
    for down, right in itertools.product(range(-margin, margin + 1), repeat=2):
        if down**2 + right**2 <= margin**2:
            top, left = margin + down, margin + right
            wide |= padded[:, top : top + height, left : left + width]
    return wide
