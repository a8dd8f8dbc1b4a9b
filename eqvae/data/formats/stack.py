"""Readers of stacks: the numbers as they are stored, and the size of a pixel where the file says it.

What a file says of itself is checked when it is opened, and its first and last image are read; nothing is
mapped into memory, so that what was read can be forgotten.
"""

import math
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eqvae.data.formats.library import library
from eqvae.data.formats.stored import Stored
from eqvae.data.formats.tiff import open_tiff

_MRC_HEADER = 1024  # bytes
_FAULTS = (  # of libraries, as a damaged file likes; a ValueError says already what is wrong
    *(OSError, EOFError, LookupError, TypeError, RuntimeError, AttributeError, MemoryError),
    *(ArithmeticError, SyntaxError, struct.error, zlib.error),
)


def open_stack(path: Path, key: str | None = None) -> Stored:
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
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise ValueError(
            f"path={str(path)!r} has an ending of no format that is read: {' '.join(ENDINGS)}."
        )
    try:
        stored = opener(path, key)
        if len(stored):
            stored[np.array([0, len(stored) - 1])]
    except _FAULTS as error:
        raise ValueError(f"path={str(path)!r} can't be read ({_one_line(error)}).") from error
    size = stored.pixel_size
    if size is not None and not (math.isfinite(size) and size > 0):
        raise ValueError(
            f"path={str(path)!r} gives its pixels a size of {size:g}. Say another with "
            "data.source.pixel_size."
        )
    return stored


def _mrc(path: Path, key: str | None) -> Stored:
    mrcfile = library("mrcfile", "mrc")
    try:
        with mrcfile.open(path, permissive=False, header_only=True) as file:
            header, size = file.header, float(file.voxel_size.x)
            dtype = mrcfile.utils.data_dtype_from_header(header)
            shape = tuple(int(header[name]) for name in ("nz", "ny", "nx"))
    except ValueError as error:
        raise OSError(str(error)) from error
    if min(shape) < 1:
        raise OSError(f"it declares images of shape {shape}")
    stored = Stored.flat(path, _MRC_HEADER + int(header.nsymbt), shape, dtype)
    return stored.known(size if size != 0 else None)


def _tiff(path: Path, key: str | None) -> Stored:
    return open_tiff(path)


def _hdf5(path: Path, key: str | None) -> Stored:
    h5py = library("h5py", "hdf5")
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}
        file.visititems(
            lambda name, item: (
                found.update({name: item}) if isinstance(item, h5py.Dataset) else None
            )
        )
        item = _chosen(found, key, path)
        _check_own(item, path)
        chunk = item.chunks[0] if item.chunks else 1
        part = partial(_hdf5_part, path, item.name)
        stored = Stored.of(item.shape, item.dtype, part, chunk)
    stored.check_size(path.stat().st_size)
    return stored


def _check_own(item: Any, path: Path) -> None:
    """Refuse a data set whose numbers lie in other files, which whoever wrote this one has chosen.

    Raises:
        ValueError: if they do.
    """
    others = [name for name, *_ in item.external or ()]
    if item.is_virtual:
        others += [source.file_name for source in item.virtual_sources() if source.file_name != "."]
    if others:
        raise ValueError(
            f"path={str(path)!r} holds {item.name} as a link to {str(others[0])!r}, and only numbers of the "
            "file itself are read. Copy them into one file."
        )


def _hdf5_part(path: Path, name: str, first: int, last: int) -> np.ndarray:
    with library("h5py", "hdf5").File(path, "r") as file:
        return file[name][first:last]


def _zarr(path: Path, key: str | None) -> Stored:
    zarr = library("zarr", "zarr")
    try:
        opened = zarr.open(str(path), mode="r")
    except ValueError as error:
        raise OSError(str(error)) from error
    if not isinstance(opened, zarr.Array):
        found = {name: item for name, item in opened.members(None) if isinstance(item, zarr.Array)}
        opened = _chosen(found, key, path)
    chunk = (opened.shards or opened.chunks)[0]
    stored = Stored.of(opened.shape, opened.dtype, partial(_item, opened), chunk)
    stored.check_size(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
    return stored


def _fits(path: Path, key: str | None) -> Stored:
    fits = library("astropy.io.fits", "fits")
    with fits.open(path, memmap=False, ignore_missing_end=False) as units:
        found = {
            str(i): unit for i, unit in enumerate(units) if unit.is_image and unit.header["NAXIS"]
        }
        shapes = {name: unit.shape for name, unit in found.items()}
        named = {unit.name: name for name, unit in found.items() if unit.name}
    if key in named:
        key = named[key]
    elif key is not None and key not in shapes:
        raise ValueError(f"key={key!r} is not in {str(path)!r}, which holds {[*shapes, *named]}.")
    if key is None:
        images = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
        if len(images) != 1:
            raise ValueError(_unclear(path, len(images), [*shapes, *named]))
        key = images[0]
    shape = shapes[key] if len(shapes[key]) > 2 else (1, *shapes[key])
    part = partial(_fits_part, path, int(key), len(shapes[key]) > 2)
    stored = Stored.of(shape, part(0, 1).dtype, part)
    declared = int(np.prod(shape, dtype=object)) * stored.dtype.itemsize
    if declared > 100 * path.stat().st_size:  # tiles may be compressed
        stored.check_size(path.stat().st_size)
    return stored


def _fits_part(path: Path, number: int, many: bool, first: int, last: int) -> np.ndarray:
    fits = library("astropy.io.fits", "fits")
    with fits.open(path, memmap=False) as units:
        return units[number].section[first:last] if many else units[number].data[None]


def _npy(path: Path, key: str | None) -> Stored:
    try:
        mapped = np.load(path, allow_pickle=False, mmap_mode="r")
    except ValueError as error:
        raise OSError(str(error)) from error
    if mapped.flags.c_contiguous:
        return Stored.flat(path, mapped.offset, mapped.shape, mapped.dtype)
    return Stored.array(mapped)


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
        raise ValueError(_unclear(path, len(images), list(found)))
    return next(iter(images.values()))


def _unclear(path: Path, count: int, found: list[str]) -> str:
    return (
        f"key must name the images in {str(path)!r}, which has {count} arrays of 3 or 4 dimensions "
        f"among {found}. Set data.source.key."
    )


def _item(values: Any, first: int, last: int) -> np.ndarray:
    return np.asarray(values[first:last])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_OPENERS: dict[str, Callable[[Path, str | None], Stored]] = {
    **dict.fromkeys((".mrc", ".mrcs", ".st"), _mrc),
    **dict.fromkeys((".tif", ".tiff"), _tiff),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), _hdf5),
    **dict.fromkeys((".fits", ".fit", ".fts"), _fits),
    ".zarr": _zarr,
    ".npy": _npy,
}
ENDINGS = tuple(_OPENERS)
