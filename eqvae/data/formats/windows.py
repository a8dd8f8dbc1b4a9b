"""Windows cut out of whole fields: one for each object, with its neighbours out of sight.

A window of side S about (x, y), column and row of a field counted from the middle of its first pixel, holds
the columns from round(x - (S - 1) / 2) on, rows alike: the object lies within half a pixel of its middle.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from eqvae.data.formats.image import FAULTS, read_image
from eqvae.data.formats.stack import ENDINGS, open_stack
from eqvae.data.formats.stored import Stored

_KEPT = 4  # fields


@dataclass(frozen=True)
class Field:
    """A whole image with many objects.

    Attributes:
        path: of its file.
        page: which image of the file.
        name: for messages.
        labels: file of a label mask, the object's number in each of its pixels; None where there is none.
    """

    path: Path
    page: int
    name: str
    labels: Path | None = None


class Fields:
    """Fields, of which the latest few stay in memory.

    Raises:
        ValueError: if a field can't be read, or its label mask has another size.
    """

    def __init__(self, fields: Sequence[Field]):
        self.fields = list(fields)
        self._kept: OrderedDict[int, tuple[np.ndarray, np.ndarray | None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels (C, H, W) and labels (H, W) of a field."""
        if number not in self._kept:
            self._kept[number] = self._read(self.fields[number])
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def _read(self, field: Field) -> tuple[np.ndarray, np.ndarray | None]:
        image = read_field(field.path, field.page)
        if field.labels is None:
            return image, None
        labels = read_field(field.labels, field.page)
        if labels.shape[1:] != image.shape[1:] or len(labels) != 1:
            raise ValueError(
                f"a label mask must have one channel and the size of its image; {field.labels.name} has "
                f"{labels.shape} and {field.name} {image.shape} (channels, rows, columns)."
            )
        if labels.dtype.kind not in "iub":
            raise ValueError(
                f"a label mask must hold whole numbers, one for each object; {field.labels.name} holds "
                f"{labels.dtype}."
            )
        return image, labels[0]


def read_field(path: Path, page: int = 0) -> np.ndarray:
    """One image (C, H, W) of a file of any format that is read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it can't be read, or has no such page.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no image {str(path)!r}.")
    if path.suffix.lower() in ENDINGS:
        stored = open_stack(path)
        if not 0 <= page < len(stored):
            raise ValueError(
                f"{str(path)!r} has {len(stored)} images, numbered from 0; got {page}."
            )
        return stored[np.array([page])][0]
    try:
        return read_image(path)
    except FAULTS as error:
        raise ValueError(f"{str(path)!r} can't be read ({error}).") from error


def windows(
    fields: Fields,
    which: np.ndarray,
    centres: np.ndarray,
    side: int,
    objects: np.ndarray | None = None,
) -> Stored:
    """Windows about objects, read when they are asked for.

    What lies beyond the field, and pixels of other objects than the window's own, get the ground's grey:
    the median of the window's pixels that belong to no object, or of its border where there are no labels.

    Args:
        fields: whole images, all with as many channels.
        which: field of each object, (N,).
        centres: x, y of each object in its field, (N, 2).
        side: of the windows, pixels.
        objects: number of each object in its field's labels, (N,); None without labels.
    """
    first = fields[int(which[0])][0]
    part: Callable[[int, int], np.ndarray] = partial(
        _part, fields, which, corners(centres, side), side, objects
    )
    return Stored((len(which), len(first), side, side), first.dtype, part)


def corners(centres: np.ndarray, side: int) -> np.ndarray:
    """Column and row of the first pixel of windows, (N, 2); beyond the field they may be negative."""
    return np.floor(centres - (side - 1) / 2 + 0.5).astype(int)


def inside(corner: np.ndarray, side: int, height: int, width: int) -> np.ndarray:
    """Which windows (N, 2) lie within a field."""
    return ((corner >= 0) & (corner + side <= (width, height))).all(1)


def _part(
    fields: Fields,
    which: np.ndarray,
    corner: np.ndarray,
    side: int,
    objects: np.ndarray | None,
    first: int,
    last: int,
) -> np.ndarray:
    return np.stack(
        [
            _window(
                *fields[int(which[i])], corner[i], side, None if objects is None else objects[i]
            )
            for i in range(first, last)
        ]
    )


def _window(
    image: np.ndarray, labels: np.ndarray | None, corner: np.ndarray, side: int, own: int | None
) -> np.ndarray:
    height, width = image.shape[1:]
    (left, top), (right, bottom) = np.maximum(corner, 0), np.minimum(corner + side, (width, height))
    seen = image[:, top:bottom, left:right]
    x, y = left - corner[0], top - corner[1]
    there = slice(y, y + seen.shape[1]), slice(x, x + seen.shape[2])
    hidden = np.ones((side, side), bool)
    hidden[there] = False
    if labels is None:
        around = np.zeros(seen.shape[1:], bool)
        around[[0, -1]] = around[:, [0, -1]] = True
    else:
        near = labels[top:bottom, left:right]
        hidden[there] = (near != 0) & (near != own)
        around = near == 0
    ground = seen[:, around] if around.any() else seen.reshape(len(seen), -1)
    out = np.empty((len(seen), side, side), image.dtype)
    out[(slice(None), *there)] = seen
    out[:, hidden] = np.median(ground, axis=1).astype(image.dtype)[:, None]
    return out
