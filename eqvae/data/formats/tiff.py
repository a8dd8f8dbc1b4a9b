"""TIFF and OME-TIFF: which pages are an image, and how a page lies in the file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eqvae.data.formats.library import library
from eqvae.data.formats.stored import Stored

_PAGE_AXES = ("YX", "YXS", "SYX")


def open_tiff(path: Path) -> Stored:
    """The images of the first series of a file.

    Of its axes, C and S are channels; all others but rows and columns count images.

    Raises:
        OSError: if it is no TIFF file, or cut off.
    """
    tifffile = library("tifffile", "tiff")
    try:
        with tifffile.TiffFile(path) as file:
            series, first = file.series[0], file.pages[0]
            _check_end(path, series)
            if first.axes not in _PAGE_AXES:
                raise OSError(f"its pages have the axes {first.axes}, not one of {_PAGE_AXES}")
            table = _page_table(series, first.axes)
            channels = table.shape[1] * (first.samplesperpixel if "S" in first.axes else 1)
            shape = (len(table), channels, first.imagelength, first.imagewidth)
            dtype, size = np.dtype(series.dtype), _ome_size(file.ome_metadata)
            white = first.photometric == tifffile.PHOTOMETRIC.MINISWHITE and dtype.kind == "u"
            block = None
            if series.dataoffset is not None:  # one block for all pages
                page = (table.size, *first.shape)
                stored_as = dtype.newbyteorder(file.byteorder)
                block = Stored.flat(path, series.dataoffset, page, stored_as)
            pages = Pages(path, table, first.axes, white, block)
    except (tifffile.TiffFileError, ValueError, IndexError) as error:
        raise OSError(str(error)) from error
    stored = Stored(shape, dtype.newbyteorder("="), pages, pixel_size=size)
    stored.check_size(path.stat().st_size)
    return stored


def turned(values: np.ndarray) -> np.ndarray:
    """Numbers of a file whose white is zero, such that its black is."""
    return np.iinfo(values.dtype).max - values


@dataclass(frozen=True)
class Pages:
    """Pages of a file, put together to images.

    Attributes:
        path: of the file.
        table: pages by image and channel, (N, C).
        axes: of a page: YX, YXS or SYX.
        white_is_zero: numbers are turned.
        block: the pages, where they lie one after the other and can be read without their headers.
    """

    path: Path
    table: np.ndarray
    axes: str
    white_is_zero: bool
    block: Stored | None

    def __call__(self, first: int, last: int) -> np.ndarray:
        """Images from one number to before another, (n, C, H, W)."""
        wanted = self.table[first:last].ravel()
        if self.block is None:
            pages = _series(self.path, self.path.stat().st_mtime_ns).pages
            values = np.stack([pages[int(i)].asarray() for i in wanted])
            if self.axes == "YXS":
                values = values.transpose(0, 3, 1, 2)
        else:
            values = self.block[wanted]
        values = values.reshape(last - first, -1, *values.shape[-2:])
        return turned(values) if self.white_is_zero else values


@lru_cache(maxsize=2)  # finding the pages of a long file takes seconds
def _series(path: Path, changed: int) -> Any:
    return library("tifffile", "tiff").TiffFile(path).series[0]


def _page_table(series: Any, axes: str) -> np.ndarray:
    """Pages by image and channel."""
    before = series.axes[: len(series.axes) - len(axes)]
    pages = np.arange(int(np.prod(series.shape[: len(before)], dtype=int)))
    pages = pages.reshape(series.shape[: len(before)])
    if "C" not in before:
        return pages.reshape(-1, 1)
    pages = np.moveaxis(pages, before.index("C"), -1)
    return pages.reshape(-1, pages.shape[-1])


def _check_end(path: Path, series: Any) -> None:
    """Pages that lie beyond the end of the file would be read as zeros."""
    pages = [page for page in series.pages if page is not None]
    ends = [max(map(sum, zip(p.dataoffsets, p.databytecounts, strict=True))) for p in pages]
    if series.dataoffset is not None:
        ends.append(series.dataoffset + series.nbytes)
    if max(ends, default=0) > path.stat().st_size:
        raise OSError("it is cut off")


def _ome_size(text: str | None) -> float | None:
    """PhysicalSizeX of OME metadata."""
    if not text or "PhysicalSizeX=" not in text:
        return None
    return float(text.split('PhysicalSizeX="', 1)[1].split('"', 1)[0])
