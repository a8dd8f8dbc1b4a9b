"""The user's images from one file that holds many of them."""

from dataclasses import dataclass

import torch

from eqvae.data.formats import open_stack
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.sources.stored import absolute, brightness, grouped, survey
from eqvae.files import user_path
from eqvae.symmetry.motions import identity


@dataclass(frozen=True)
class Stack:
    """Images of an MRC, TIFF, HDF5, Zarr, FITS or .npy file, see `eqvae.data.formats`.

    Args:
        path: the file.
        key: data set of an HDF5 or Zarr file, name or number of a FITS unit; None finds it.
        pixel_size: physical size of a pixel; None takes the file's, where it says one.
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
        grey: how grey values are read.

    Raises:
        ValueError: if pixel_size is not positive.
    """

    path: str | None = None
    key: str | None = None
    pixel_size: float | None = None
    aligned: bool = False
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def __post_init__(self):
        if self.pixel_size is not None and not self.pixel_size > 0:
            raise ValueError(
                f"pixel_size must be positive, or null for the file's; got {self.pixel_size}."
            )

    def load(self) -> ImageSet:
        """Read the file.

        Raises:
            FileNotFoundError: if there is no such file.
            ImportError: if its format needs a package that is not installed.
            ValueError: if it can't be read, or holds no images that can be used.
        """
        if self.path is None:
            raise ValueError("path of the stack is not set. Set data.source.path=images.mrcs.")
        stored = open_stack(user_path(self.path), self.key)
        seen = survey(stored)
        images, settings, said = brightness(stored, self.grey, ends=seen.ends)
        groups, twins = grouped(seen)
        size = self.pixel_size or stored.pixel_size
        return ImageSet(
            images,
            groups=groups,
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
            pixel_size=None if size is None else torch.full((len(images),), float(size)),
            rows=torch.arange(len(images)),
            settings={"path": absolute(self.path), **settings},
            said=(*said, *twins),
        ).usable(skip_unreadable=self.skip_unreadable)
