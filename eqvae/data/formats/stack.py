"""Readers of stacks: the numbers as they are stored, and the size of a pixel where the file says it."""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        values: images (N, H, W), (N, C, H, W) or (N, H, W, C), as numbers of the file.
        pixel_size: of the file's own unit (MRC: Angstrom; OME-TIFF: micrometres), None where it does not say.
    """

    values: np.ndarray
    pixel_size: float | None = None


def read_stack(path: Path, key: str | None = None) -> Stored:
    """The images of a file.

    Args:
        path: whose ending names the format.
        key: data set of an HDF5 or Zarr file, name or number of a FITS unit; None takes the only one that
            holds images.

    Raises:
        ValueError: if the ending is of no format that is read, the file is damaged, or the key unknown.
        ImportError: if the format needs a package that is not installed.
        FileNotFoundError: if there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"path must be a file of images; there is no {str(path)!r}.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"path={str(path)!r} has an ending of no format that is read: {' '.join(ENDINGS)}."
        )
    try:
        stored = reader(path, key)
    except (OSError, EOFError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ValueError(f"path={str(path)!r} can't be read ({_one_line(error)}).") from error
    if stored.pixel_size is not None and not (
        math.isfinite(stored.pixel_size) and stored.pixel_size > 0
    ):
        raise ValueError(
            f"path={str(path)!r} gives its pixels a size of {stored.pixel_size:g}. Say another with "
            "data.source.pixel_size."
        )
    return stored


def _mrc(path: Path, key: str | None) -> Stored:
    mrcfile = _library("mrcfile", "mrc")
    try:
        with mrcfile.open(path, permissive=False) as file:
            values, size = np.array(file.data), float(file.voxel_size.x)
    except ValueError as error:
        raise OSError(str(error)) from error
    values = values.astype(values.dtype.newbyteorder("="))
    return Stored(values[None] if values.ndim == 2 else values, size if size != 0 else None)


def _tiff(path: Path, key: str | None) -> Stored:
    tifffile = _library("tifffile", "tiff")
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            _check_end(path, series)
            values, axes = series.asarray(), series.axes
            white_is_zero = file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
            size = _ome_size(file.ome_metadata)
    except (tifffile.TiffFileError, ValueError, IndexError) as error:
        raise OSError(str(error)) from error
    if white_is_zero and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    return Stored(_images_first(values, axes), size)


def _check_end(path: Path, series: Any) -> None:
    """Pages that lie beyond the end of the file would be read as zeros."""
    pages = [page for page in series.pages if page is not None]
    ends = [max(map(sum, zip(p.dataoffsets, p.databytecounts, strict=True))) for p in pages]
    if series.dataoffset is not None:  # one block for all pages
        ends.append(series.dataoffset + series.nbytes)
    if max(ends, default=0) > path.stat().st_size:
        raise OSError("it is cut off")


def _images_first(values: np.ndarray, axes: str) -> np.ndarray:
    """(N, H, W) or (N, C, H, W): all axes but channels, rows and columns count images."""
    channel = "C" if "C" in axes else "S" if "S" in axes else None
    last = [channel] if channel else []
    order = [i for i, a in enumerate(axes) if a not in ("Y", "X", channel)]
    order += [axes.index(a) for a in (*last, "Y", "X")]
    values = values.transpose(order)
    kept = len(last) + 2
    return values.reshape(-1, *values.shape[len(values.shape) - kept :])


def _ome_size(text: str | None) -> float | None:
    """PhysicalSizeX of OME metadata."""
    if not text or "PhysicalSizeX=" not in text:
        return None
    return float(text.split('PhysicalSizeX="', 1)[1].split('"', 1)[0])


def _hdf5(path: Path, key: str | None) -> Stored:
    h5py = _library("h5py", "hdf5")
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}
        file.visititems(
            lambda name, item: (
                found.update({name: item}) if isinstance(item, h5py.Dataset) else None
            )
        )
        return Stored(np.asarray(_chosen(found, key, path)))


def _zarr(path: Path, key: str | None) -> Stored:
    zarr = _library("zarr", "zarr")
    try:
        opened = zarr.open(str(path), mode="r")
    except ValueError as error:
        raise OSError(str(error)) from error
    if isinstance(opened, zarr.Array):
        return Stored(np.asarray(opened[:]))
    found = {name: item for name, item in opened.members(None) if isinstance(item, zarr.Array)}
    return Stored(np.asarray(_chosen(found, key, path)[:]))


def _fits(path: Path, key: str | None) -> Stored:
    fits = _library("astropy.io.fits", "fits")
    with fits.open(path, memmap=False, ignore_missing_end=False) as units:
        found = {
            str(i): unit for i, unit in enumerate(units) if unit.is_image and unit.header["NAXIS"]
        }
        found |= {unit.name: unit for unit in found.values() if unit.name}
        images = {name: unit.data for name, unit in found.items()}
    if key is None:  # a unit goes by its number and by its name
        images = {name: data for name, data in images.items() if name.isdigit()}
    values = _chosen(images, key, path)
    return Stored(
        values[None] if values.ndim == 2 else values.astype(values.dtype.newbyteorder("="))
    )


def _npy(path: Path, key: str | None) -> Stored:
    try:
        return Stored(np.load(path, allow_pickle=False, mmap_mode="r"))
    except ValueError as error:
        raise OSError(str(error)) from error


def _chosen(found: Mapping[str, Any], key: str | None, path: Path) -> Any:
    """The array that a key names, or the only one that holds images.

    Raises:
        ValueError: if there is no such array, or several.
    """
    if key is not None:
        if key not in found:
            raise ValueError(f"key={key!r} is not in {str(path)!r}, which holds {list(found)}.")
        return found[key]
    images = {name: item for name, item in found.items() if getattr(item, "ndim", 0) in (3, 4)}
    if len(images) != 1:
        raise ValueError(
            f"key must name the images in {str(path)!r}, which has {len(images)} arrays of 3 or 4 dimensions "
            f"among {list(found)}. Set data.source.key."
        )
    return next(iter(images.values()))


def _library(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'this format needs {name.split(".")[0]}: pip install "eqvae[{extra}]".'
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_READERS: dict[str, Callable[[Path, str | None], Stored]] = {
    **dict.fromkeys((".mrc", ".mrcs", ".st"), _mrc),
    **dict.fromkeys((".tif", ".tiff"), _tiff),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), _hdf5),
    **dict.fromkeys((".fits", ".fit", ".fts"), _fits),
    ".zarr": _zarr,
    ".npy": _npy,
}
ENDINGS = tuple(_READERS)
