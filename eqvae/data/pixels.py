"""Images that stay in their files, in the numbers of those files, until a batch asks for them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from eqvae.data.grey import Grey
from eqvae.watch import watched

Step = Callable[[Tensor], Tensor]
_BLOCK = 256  # images that are read together in training
PART = 256  # images that are looked at together
_WINDOW_BYTES = 128 * 2**20  # of images in their own numbers that an epoch mixes at a time
_FEWEST = 8  # blocks
GIB = 2**30  # bytes
_SLOW = GIB  # bytes whose reading shows a progress bar


class StoredImages(Protocol):
    """Images (N, C, H, W) in the numbers of their file, read when they are asked for.

    `eqvae.data.formats.Stored` is one; `chunk` images can only be read together.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype
    chunk: int

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> np.ndarray: ...


class Pixels:
    """Images (N, C, H, W) float32 in [0, 1], read when they are asked for.

    Args:
        stored: where they come from.
        grey: settled.
        rows: their numbers among the stored ones; None for all.
        keep: pixels of the stored images that are kept, (N, H, W) bool; others are 0.
        steps: what becomes of them then, image by image.
        ends: smallest and largest number of each stored image, where they are known, (N, 2).
    """

    dtype = torch.float32

    def __init__(
        self,
        stored: StoredImages,
        grey: Grey,
        rows: np.ndarray | None = None,
        keep: np.ndarray | None = None,
        steps: tuple[Step, ...] = (),
        ends: np.ndarray | None = None,
    ):
        self.stored, self.grey, self.keep, self.steps = stored, grey, keep, steps
        self.ends = ends
        self.rows = np.arange(len(stored)) if rows is None else rows
        image = tuple(stored.shape[1:])
        for step in steps:
            image = tuple(step(torch.zeros(1, *image)).shape[1:])
        self.shape = (len(self.rows), *image)

    def __len__(self) -> int:
        return len(self.rows)

    def dim(self) -> int:
        return 4

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Images by number, (B, C, H, W)."""
        places = self.rows[rows if isinstance(rows, slice) else rows.numpy()]
        return self.read(self.stored[places], places)

    def read(self, values: np.ndarray, places: np.ndarray) -> Tensor:
        """Stored images, whose numbers are `places`, as they are seen."""
        y = self.grey.read(values)
        if self.keep is not None:
            y = np.where(self.keep[places][:, None], y, np.float32(0))
        images = torch.from_numpy(np.ascontiguousarray(y))
        for step in self.steps:
            images = step(images)
        return images

    def take(self, rows: Tensor) -> "Pixels":
        """Some of the images, unread."""
        rows = self.rows[rows.numpy()]
        return Pixels(self.stored, self.grey, rows, self.keep, self.steps, self.ends)

    def then(self, step: Step) -> "Pixels":
        """The same after another step."""
        return Pixels(self.stored, self.grey, self.rows, self.keep, (*self.steps, step), self.ends)

    def extremes(self) -> tuple[Tensor, Tensor]:
        """Darkest and brightest pixel of each image, NaN where one is no number: (N,), (N,).

        Every image is read once, or none where `ends` say it.
        """
        if not (self.grey.each_alone or self.keep is not None or self.steps):
            # grey values keep their order or turn it: two numbers of each image are enough
            ends = ends_of(self.stored) if self.ends is None else self.ends
            flat = torch.from_numpy(self.grey.read(ends[self.rows][:, None, :, None])).flatten(1)
            return flat.amin(1), flat.amax(1)
        low, high = torch.empty(len(self)), torch.empty(len(self))
        for first in parts_of(self.stored):
            part = slice(first, first + PART)
            flat = self[part].flatten(1)
            low[part], high[part] = flat.amin(1), flat.amax(1)
        return low, high

    @cached_property
    def blocks(self) -> "Blocks":
        """The same images, read in blocks that stay in memory for a while."""
        return Blocks(self)


def ends_of(stored: StoredImages) -> np.ndarray:
    """Smallest and largest number of each image, NaN where one is NaN, (N, 2): every image is read once."""
    ends = np.empty((len(stored), 2), stored.dtype)
    for first in parts_of(stored):
        values = stored[np.arange(first, min(first + PART, len(stored)))]
        ends[first : first + PART] = ends_in(values)
    return ends


def ends_in(values: np.ndarray) -> np.ndarray:
    """Smallest and largest number of images (B, C, H, W), NaN where one is NaN, (B, 2)."""
    return np.stack([values.min((1, 2, 3)), values.max((1, 2, 3))], axis=1)


def parts_of(stored: StoredImages) -> Iterable[int]:
    """Where parts of images start, with a progress bar where they are many."""
    starts = range(0, len(stored), PART)
    size = stored.dtype.itemsize * int(np.prod(stored.shape, dtype=object))
    return watched(starts, "looking at images") if size > _SLOW else starts


class Blocks:
    """The same images, read in blocks of neighbours, of which the latest stay in memory.

    For orders that stay within a few blocks for a while, see `eqvae.data.order`.

    Args:
        pixels: the images.

    Attributes:
        size: images of a block.
        window: blocks that stay.
    """

    dtype = torch.float32

    def __init__(self, pixels: Pixels):
        self.pixels, self.shape = pixels, pixels.shape
        chunk = pixels.stored.chunk
        self.size = chunk * max(1, _BLOCK // chunk)
        image = pixels.stored.dtype.itemsize * int(np.prod(pixels.stored.shape[1:]))
        self.window = max(_FEWEST, _WINDOW_BYTES // (self.size * image))
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.pixels)

    def dim(self) -> int:
        return 4

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        places = self.pixels.rows[rows if isinstance(rows, slice) else rows.numpy()]
        stored = self.pixels.stored
        values = np.empty((len(places), *stored.shape[1:]), stored.dtype)
        number, inside = np.divmod(places, self.size)
        # what is there comes first: a batch may lie across two windows
        for block in sorted(np.unique(number), key=lambda block: block not in self._kept):
            here = number == block
            values[here] = self._block(int(block))[inside[here]]
        return self.pixels.read(values, places)

    def block_of(self, rows: Tensor) -> Tensor:
        """Which block each image is in, (B,) int64."""
        return torch.from_numpy(self.pixels.rows[rows.numpy()] // self.size)

    def _block(self, number: int) -> np.ndarray:
        if number in self._kept:
            self._kept.move_to_end(number)
        else:
            first = number * self.size
            last = min(first + self.size, len(self.pixels.stored))
            self._kept[number] = self.pixels.stored[np.arange(first, last)]
            if len(self._kept) > self.window + 2:
                self._kept.popitem(last=False)
        return self._kept[number]
