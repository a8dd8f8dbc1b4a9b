"""The user's images from one .npz archive of numpy."""

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
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
    """

    path: str | None = None
    image: str | None = None
    label: str | None = None
    group: str | None = None
    aligned: bool = False
    skip_unreadable: bool = False

    def load(self) -> ImageSet:
        """Read the archive.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no archive, lacks a key, or holds images that cannot be used.
        """
        if self.path is None:
            raise ValueError("path of the .npz archive is not set. Set data.path=images.npz.")
        if not Path(self.path).is_file():
            raise FileNotFoundError(
                f"path must be an .npz archive; there is no file {str(self.path)!r}. Set data.path."
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
        images = torch.from_numpy(np.ascontiguousarray(unit_range(values)))
        return ImageSet(
            images,
            labels=self._numbered(arrays, "label"),
            groups=self._numbered(arrays, "group"),
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
        ).usable(skip_unreadable=self.skip_unreadable)

    def _image_key(self, arrays: dict[str, np.ndarray]) -> str:
        if self.image is not None:
            self._check_key(arrays, "image")
            return self.image
        if "images" in arrays:
            return "images"
        candidates = [key for key, array in arrays.items() if array.ndim in (3, 4)]
        if len(candidates) != 1:
            raise ValueError(
                f"image must name the images in {str(self.path)!r}, which has "
                f"{len(candidates)} arrays of 3 or 4 dimensions; its keys are {list(arrays)}. "
                "Set data.image=KEY."
            )
        return candidates[0]

    def _check_key(self, arrays: dict[str, np.ndarray], argument: str) -> None:
        if getattr(self, argument) not in arrays:
            raise ValueError(
                f"{argument}={getattr(self, argument)!r} is not in {str(self.path)!r}; "
                f"its keys are {list(arrays)}."
            )

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
