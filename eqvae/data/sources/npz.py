"""The user's images from one .npz archive of numpy."""

import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqvae.data.images import ImageSet, unit_range
from eqvae.symmetry.motions import identity


@dataclass(frozen=True)
class Npz:
    """Images (N, H, H), (N, C, H, H) or (N, H, H, C) in an .npz archive.

    uint8 is divided by 255 and uint16 by 65535; float must lie in [0, 1] already.

    Args:
        path: the archive.
        image: key of the images; None takes `images`, or else the only 3-D or 4-D array.
        label: key of the class of each image (whole numbers, or names that are then numbered in
            alphabetical order).
        group: key of what must not be torn apart by the split, such as the source micrograph.
        mask: key of which pixels are the object: (N, H, H) of 0 and 1, or bits (N, H * H / 8) as
            `numpy.packbits(mask.reshape(N, -1), axis=1)` makes them. All others are set to 0, so
            that neighbours disappear.
        mask_margin: pixels around the mask, in every direction, that are kept as well.
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
    """

    path: str | None = None
    image: str | None = None
    label: str | None = None
    group: str | None = None
    mask: str | None = None
    mask_margin: int = 2
    aligned: bool = False
    skip_unreadable: bool = False

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
        if self.path is None:
            raise ValueError(
                "path of the .npz archive is not set. Set data.source.path=images.npz."
            )
        if not Path(self.path).is_file():
            raise FileNotFoundError(
                f"path must be an .npz archive; there is no file {str(self.path)!r}. Set data.source.path."
            )
        try:
            archive = np.load(self.path, allow_pickle=False)
            arrays = {key: archive[key] for key in archive.files}
        except (AttributeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"path={str(self.path)!r} cannot be read as an .npz archive of plain arrays "
                f"({error}). Write one with numpy.savez(path, images=images)."
            ) from error
        values = channels_first(arrays[self._image_key(arrays)])
        values = np.ascontiguousarray(unit_range(values))
        masks = None if self.mask is None else self._masks(arrays, values)
        if masks is not None:
            near = dilated(masks, self.mask_margin)[:, None]
            values = np.where(near, values, np.float32(0))
        images = torch.from_numpy(values)
        return ImageSet(
            images,
            labels=self._numbered(arrays, "label"),
            groups=self._numbered(arrays, "group"),
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
            masks=None if masks is None else torch.from_numpy(masks[:, None]),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _image_key(self, arrays: dict[str, np.ndarray]) -> str:
        if self.image is not None:
            self._check_key(arrays, "image")
            return self.image
        if "images" in arrays:
            return "images"
        candidates = [k for k, array in arrays.items() if array.ndim in (3, 4) and k != self.mask]
        if len(candidates) != 1:
            raise ValueError(
                f"image must name the images in {str(self.path)!r}, which has "
                f"{len(candidates)} arrays of 3 or 4 dimensions; its keys are {list(arrays)}. "
                "Set data.source.image=KEY."
            )
        return candidates[0]

    def _check_key(self, arrays: dict[str, np.ndarray], argument: str) -> None:
        if getattr(self, argument) not in arrays:
            raise ValueError(
                f"{argument}={getattr(self, argument)!r} is not in {str(self.path)!r}; "
                f"its keys are {list(arrays)}."
            )

    def _masks(self, arrays: dict[str, np.ndarray], values: np.ndarray) -> np.ndarray:
        """Which pixels of the images (N, C, H, W) are the object, (N, H, W) bool."""
        self._check_key(arrays, "mask")
        masks = arrays[self.mask]
        number, _, height, width = values.shape
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

    def _numbered(self, arrays: dict[str, np.ndarray], argument: str) -> Tensor | None:
        """Classes or groups as whole numbers; those that are not are numbered in their order."""
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
        if values.dtype.kind in "US":
            values = np.unique(values, return_inverse=True)[1]
        return torch.from_numpy(values.astype(np.int64))


def channels_first(values: np.ndarray) -> np.ndarray:
    """Images as (N, C, H, W); of the axes 1 and 3 the shorter one is the channels.

    Raises:
        ValueError: if the array has not 3 or 4 dimensions.
    """
    if values.ndim == 3:
        return values[:, None]
    if values.ndim == 4:
        return values if values.shape[1] <= values.shape[3] else values.transpose(0, 3, 1, 2)
    raise ValueError(
        "images must be an array (N, H, H), (N, C, H, H) or (N, H, H, C); "
        f"got shape {values.shape}."
    )


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
