"""Images of a file as its own numbers, read when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

_AT_ONCE = 4096  # images in one piece, at most
_FEWEST_BYTES = 1 / 1000  # of what a file declares: nothing is packed more tightly


@dataclass(frozen=True)
class Stored:
    """Images that a file holds.

    Attributes:
        shape: (N, C, H, W).
        dtype: of the numbers, in the byte order of this machine.
        part: images from one number to before another, as the file lays them out: (n, H, W), (n, C, H, W) or
            (n, H, W, C).
        chunk: images that can only be read together; 1 where each can be read by itself.
        pixel_size: in the file's own unit (MRC: Angstrom; OME-TIFF: micrometres), None where it does not say.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype
    part: Callable[[int, int], np.ndarray]
    chunk: int = 1
    pixel_size: float | None = None

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        dtype: np.dtype,
        part: Callable[[int, int], np.ndarray],
        chunk: int = 1,
    ) -> "Stored":
        """Images that are laid out as (N, H, W), (N, C, H, W) or (N, H, W, C).

        Raises:
            ValueError: if the array has not 3 or 4 dimensions.
        """
        whole = channels_first(np.broadcast_to(np.empty(()), shape)).shape
        return cls(tuple(map(int, whole)), dtype.newbyteorder("="), part, chunk)

    @classmethod
    def array(cls, values: np.ndarray) -> "Stored":
        """Images in memory."""
        return cls.of(values.shape, values.dtype, partial(_slice, values))

    @classmethod
    def flat(cls, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> "Stored":
        """Images that lie one after the other in a file, from `offset` bytes on.

        Raises:
            OSError: if the file ends before they do.
        """
        needed = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
        there = path.stat().st_size
        if there < needed:
            raise OSError(f"it declares {needed:,} bytes and holds {there:,}")
        return cls.of(shape, dtype, partial(_bytes, path, offset, tuple(shape[1:]), dtype))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Images by number, (B, C, H, W), each piece of the file read once.

        Raises:
            IndexError: if a number is not below N.
        """
        rows = np.asarray(rows)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be from 0 to {len(self) - 1}; got {rows.max()}.")
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for start, end in _runs(ordered, self.chunk):
            first = int(ordered[start])
            part = channels_first(self.part(first, int(ordered[end - 1]) + 1))
            out[order[start:end]] = part[ordered[start:end] - first]
        return out

    def all(self) -> np.ndarray:
        """Every image, (N, C, H, W)."""
        return self[np.arange(len(self))]

    def known(self, pixel_size: float | None) -> "Stored":
        """The same with a size of its pixels."""
        return replace(self, pixel_size=pixel_size)

    def check_size(self, held: int) -> None:
        """Refuse what declares far more than its file holds.

        Args:
            held: bytes of the file.

        Raises:
            OSError: if they can't be that many images.
        """
        declared = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
        if held < _FEWEST_BYTES * declared:
            raise OSError(f"it declares {declared:,} bytes and holds {held:,}")


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


def _runs(ordered: np.ndarray, chunk: int) -> list[tuple[int, int]]:
    """Pieces of sorted numbers that are read at once: neighbours, or in neighbouring chunks."""
    if not len(ordered):
        return []
    gaps = np.diff(ordered // chunk) > 1
    starts = [0, *(np.nonzero(gaps)[0] + 1).tolist()]
    runs = []
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        for a in range(start, end, _AT_ONCE):
            runs.append((a, min(a + _AT_ONCE, end)))
    return runs


def _slice(values: np.ndarray, first: int, last: int) -> np.ndarray:
    return values[first:last]


def _bytes(
    path: Path, offset: int, image: tuple[int, ...], dtype: np.dtype, first: int, last: int
) -> np.ndarray:
    size = int(np.prod(image))
    values = np.fromfile(
        path, dtype, (last - first) * size, offset=offset + first * size * dtype.itemsize
    )
    return values.reshape(last - first, *image)
