"""The user's images from one .npz archive of numpy."""

import itertools
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.data.formats.stack import open_stack
from eqvae.data.formats.stored import Stored
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.room import check_room
from eqvae.data.sources.stored import absolute, brightness, grouped, numbered, survey
from eqvae.files import user_path
from eqvae.symmetry.motions import identity

_PIECE = 2**24  # bytes
FAULTS = (  # of zipfile and numpy, as a damaged file likes
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, TypeError),
    *(RuntimeError, LookupError, ArithmeticError, MemoryError, lzma.LZMAError),
)
_PACKED, _SMALL = 500, 1 << 28  # bytes for one in an archive, and what any array may take


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
        if self.path is None:
            raise ValueError(
                "path of the .npz archive is not set. Set data.source.path=images.npz."
            )
        if not user_path(self.path).is_file():
            raise FileNotFoundError(
                f"path must be an .npz archive; there is no file {str(self.path)!r}. Set data.source.path."
            )
        try:
            with opened(user_path(self.path)) as arrays:
                return self._images(arrays)
        except FAULTS as error:
            raise ValueError(
                f"path={str(self.path)!r} cannot be read as an .npz archive of plain arrays "
                f"({error!s:.200}). Write one with numpy.savez(path, images=images)."
            ) from error

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


@contextmanager
def opened(path: Path) -> Iterator["Arrays | Single"]:
    """The arrays of an archive; a single array counts as `images`, that of an .npy file as `Stack` reads it.

    Raises:
        OSError, EOFError, BadZipFile: if the file is neither.
        RuntimeError: if it is encrypted, or packed in a way that zipfile does not know.
    """
    if path.suffix.lower() == ".npy":
        yield Single(open_stack(path))
        return
    try:
        archive = np.load(path, allow_pickle=False)
    except ValueError as error:  # numpy takes what it does not know for a pickle
        raise OSError(str(error)) from error
    if isinstance(archive, np.ndarray):
        yield Single(Stored.array(archive))
        return
    with archive:
        yield Arrays(archive, path)


class Single(dict):
    """One array, under the name of images."""

    def __init__(self, images: Stored):
        super().__init__(images=images)

    def stored(self, key: str) -> Stored:
        return self[key]

    def ndim(self, key: str) -> int:
        return len(self[key].shape)


class Arrays:
    """The arrays of an open archive, each read when it is asked for, and never more than its file holds."""

    def __init__(self, archive: Any, path: Path):
        self._archive, self._path = archive, path
        self._headers = {key: _header(archive.zip, self._member(key)) for key in archive.files}

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __contains__(self, key: str) -> bool:
        return key in self._headers

    def __len__(self) -> int:
        return len(self._headers)

    def ndim(self, key: str) -> int:
        """Dimensions of an array of numbers; 0 of others."""
        header = self._headers[key]
        return 0 if header.dtype.hasobject else len(header.shape)

    def stored(self, key: str) -> Stored:
        """An array whose numbers stay in the file, unless they are packed or lie column by column."""
        header = self._headers[key]
        if header.packed or header.columns or header.dtype.hasobject:
            return Stored.array(self[key])
        with self._archive.zip.open(
            self._member(key)
        ) as member:  # its checksum, while it is read through
            while member.read(_PIECE):
                pass
        return Stored.flat(self._path, header.offset, header.shape, header.dtype)

    def _member(self, key: str) -> str:
        return key if key in self._archive.zip.namelist() else f"{key}.npy"

    def __getitem__(self, key: str) -> np.ndarray:
        """Read an array.

        Raises:
            ValueError: if it holds Python objects, or is cut off.
        """
        if self._headers[key].dtype.hasobject:
            raise ValueError(
                f"{key!r} is an array of Python objects, which are not read: they can run programs. Store "
                "it as numbers or text, as in numpy.array(values, dtype=str)."
            )
        header = self._headers[key]
        check_room(
            math.prod(header.shape) * header.dtype.itemsize, f"the unpacked numbers of {key!r}"
        )
        try:
            return self._archive[key]
        except (ValueError, MemoryError) as error:
            raise ValueError(
                f"the array {key!r:.200} is damaged ({error!s:.200}). Write it anew."
            ) from error


@dataclass(frozen=True)
class _Header:
    """What a member of an archive says of its array.

    Attributes:
        shape: of the array.
        dtype: of its numbers, in the byte order of the file.
        columns: whether it lies column by column.
        packed: whether it must be unpacked to be read.
        offset: where its numbers begin in the archive, bytes, if it is not packed.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    columns: bool
    packed: bool
    offset: int


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    """Header of the member that is called `name`.

    Raises:
        ValueError: if it declares more numbers than it holds.
    """
    key, info = name.removesuffix(".npy"), archive.getinfo(name)
    packed = info.compress_type != zipfile.ZIP_STORED
    with archive.open(name) as member:
        begin = archive.fp.tell() if not packed else 0  # behind the member's own header
        try:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0
            shape, columns, dtype = (
                read if version == (1, 0) else np.lib.format.read_array_header_2_0
            )(member)
        except ValueError as error:
            raise ValueError(f"{key!r} is no array of numpy ({error}). Remove it.") from error
        read_so_far = member.tell()
    if info.file_size > max(_PACKED * info.compress_size, _SMALL):
        raise ValueError(
            f"the array {key!r} declares {info.file_size:,} bytes and holds {info.compress_size:,}: no "
            "images are packed that tightly. Write it anew with numpy.savez."
        )
    declared, left = math.prod(shape) * dtype.itemsize, info.file_size - read_so_far
    if not dtype.hasobject and declared > left:
        raise ValueError(
            f"the array {key!r} declares {declared:,} bytes and holds {left:,}. The file is damaged: write "
            "it anew."
        )
    return _Header(shape, dtype, columns, packed, begin + read_so_far)


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
