"""One image from a PNG, JPEG or TIFF file, with the numbers that the file holds."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from eqvae.data.formats.tiff import open_tiff, turned

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FAULTS = (  # of files that can't be read: Pillow ends in any of these, as the file likes
    *(OSError, ValueError, SyntaxError, TypeError, EOFError, MemoryError, AttributeError),
    *(LookupError, ArithmeticError, RuntimeError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
_FORMATS = ("PNG", "JPEG", "TIFF")  # by name: the content of a file must not choose the program
_PLAIN_MODES = {"L": "L", "RGB": "RGB", "I;16": "I;16", "I;16B": "I;16", "F": "F", "1": "L"}
_CONVERTED = {"LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB", "CMYK": "RGB"}
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF files; photometric 0: white is zero
_DEPTH, _COLOUR = 24, 25  # bytes of PNG files: bits of a number, and 2 or 6 where they are colours


def read_image(file: Path, channels: int | None = None) -> np.ndarray:
    """One image (C, H, W); orientations that cameras note are followed, transparency is dropped.

    Args:
        file: PNG, JPEG or TIFF.
        channels: 1 (grey) or 3 (RGB) converts; None keeps what the file has.

    Raises:
        Exception: one of `FAULTS`, if it can't be read.
    """
    with Image.open(file, formats=_FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"{image.n_frames} pages, one image expected")
        deep = _deep_colours(file, image)
        if deep is not None:
            return _converted(deep, channels)
        image.load()
        white_is_zero = _white_is_zero(image)
        image = ImageOps.exif_transpose(image)
        if image.mode in _CONVERTED or image.mode == "1":
            image = image.convert(_CONVERTED.get(image.mode, "L"))
        if image.mode not in _PLAIN_MODES:
            raise ValueError(f"pixel format {image.mode!r} is not 8-bit, 16-bit or float")
        if channels == 3 and image.mode in ("L", "RGB"):
            image = image.convert("RGB")
        elif channels == 1 and image.mode == "RGB":
            image = image.convert("L")
        values = np.asarray(image)
    values = values.astype(values.dtype.newbyteorder("="))
    if white_is_zero:
        values = turned(values)
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return _converted(values, channels)


def _converted(values: np.ndarray, channels: int | None) -> np.ndarray:
    if channels == 3 and len(values) == 1:
        return np.repeat(values, 3, axis=0)
    if channels == 1 and len(values) == 3:  # ITU-R 601, as Pillow
        grey = np.tensordot([0.299, 0.587, 0.114], values.astype(np.float64), axes=1)
        return grey.round().astype(values.dtype)[None]
    return values


def _deep_colours(file: Path, image: Image.Image) -> np.ndarray | None:
    """Colours of 16 bits, (3, H, W), of which Pillow would drop the lower half; None for other files."""
    if image.format == "PNG":
        with file.open("rb") as stream:
            header = stream.read(_COLOUR + 1)
        if len(header) <= _COLOUR or header[_DEPTH] != 16 or header[_COLOUR] not in (2, 6):
            return None
        from torchvision.io import ImageReadMode, decode_image

        data = torch.from_numpy(np.fromfile(file, np.uint8))
        return decode_image(data, ImageReadMode.RGB).numpy()
    tags: Any = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and len(tags.get(_BITS, ())) > 2 and max(tags[_BITS]) > 8:
        return open_tiff(file)[np.zeros(1, int)][0, :3]
    return None


def _white_is_zero(image: Image.Image) -> bool:
    """Of 16-bit TIFF files, whose photometric interpretation Pillow leaves to the reader."""
    tags: Any = getattr(image, "tag_v2", None)
    return tags is not None and image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0
