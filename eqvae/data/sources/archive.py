"""Archives of arrays, .npz, read with care: whoever wrote them may be a stranger."""

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eqvae.data.formats.stack import open_stack
from eqvae.data.formats.stored import Stored
from eqvae.data.images import ImageSet
from eqvae.data.room import check_room
from eqvae.files import user_path

_PIECE = 2**24  # bytes
FAULTS = (  # of zipfile and numpy, as a damaged file likes
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, TypeError),
    *(RuntimeError, LookupError, ArithmeticError, MemoryError, lzma.LZMAError),
)
_PACKED, _SMALL = 500, 1 << 28  # bytes for one in an archive, and what any array may take


def from_archive(
    path: str | None, read: Callable[["Arrays | Single"], ImageSet], *, what: str, call: str
) -> ImageSet:
    """What `read` makes of an archive's arrays.

    Args:
        path: of the archive, as the user gives it.
        read: arrays -> images.
        what: the archive is called, where no path is given.
        call: arguments of numpy.savez that would write a right one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no path, or the archive can't be read.
    """
    if path is None:
        raise ValueError(f"path of the {what} is not set. Set data.source.path=images.npz.")
    if not user_path(path).is_file():
        raise FileNotFoundError(
            f"path must be an .npz archive; there is no file {str(path)!r}. Set data.source.path."
        )
    try:
        with opened(user_path(path)) as arrays:
            return read(arrays)
    except FAULTS as error:
        raise ValueError(
            f"path={str(path)!r} cannot be read as an .npz archive of plain arrays "
            f"({error!s:.200}). Write one with numpy.savez(path, {call})."
        ) from error


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
