"""What sources of the user's files share: grey values, classes, and settings that are kept with the run."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.data.grey import Grey
from eqvae.data.images import listing
from eqvae.data.pixels import PART, Pixels, StoredImages, ends_in, ends_of, parts_of
from eqvae.files import user_path

_LOOKED_AT = 500  # images, for pixels out of range
_MANY = 0.02  # of the pixels
_SAMPLE_BYTES = (
    64 * 2**20
)  # of images that grey values are chosen by; ranges are those of all images
_FEW_BYTES = 32 * 2**20  # of images in [0, 1] that are read at once


@dataclass(frozen=True)
class Survey:
    """What one look at every image has found.

    Attributes:
        ends: smallest and largest number of each image, NaN where one is NaN, (N, 2).
        same: number of the first image that is equal, number by number, (N,).
    """

    ends: np.ndarray
    same: np.ndarray


def survey(stored: StoredImages) -> Survey:
    """Look at every image once."""
    ends, digests = np.empty((len(stored), 2), stored.dtype), np.empty(len(stored), dtype="V16")
    for start in parts_of(stored):
        rows = np.arange(start, min(start + PART, len(stored)))
        values = stored[rows]
        ends[rows] = ends_in(values)
        for row, image in zip(rows, values, strict=True):
            digests[row] = np.void(hashlib.blake2b(image.tobytes(), digest_size=16).digest())
    _, first, which = np.unique(digests.view("<u8,<u8"), return_index=True, return_inverse=True)
    return Survey(ends, first[which.reshape(-1)])


def brightness(
    stored: StoredImages,
    grey: Grey,
    keep: np.ndarray | None = None,
    ends: np.ndarray | None = None,
) -> tuple[Tensor | Pixels, dict[str, Any], list[str]]:
    """Images in [0, 1], the settings that read others in the same way, and lines that say so.

    Few images are read at once, many when they are asked for.

    Args:
        stored: images in the numbers of their file.
        grey: how they are read.
        keep: pixels that are kept, (N, H, W) bool; others become 0.
        ends: of a `Survey`, where there was one: many images are not read once more.

    Raises:
        ValueError: if the grey values have no order, see `Grey`.
    """
    few = 4 * int(np.prod(stored.shape, dtype=object)) <= _FEW_BYTES
    if few or grey.each_alone or keep is not None:
        ends = None
    elif ends is None:
        ends = ends_of(stored)
    sample = stored[_spread(stored)]
    chosen = grey.settled(sample, None if ends is None else _range(ends))
    said = []
    usual = stored.dtype == np.uint8 or stored.dtype.kind in "bf"
    if not (usual and chosen.normalise == "dtype" and not chosen.invert):
        said.append(chosen.described(stored.dtype))
    share = chosen.clipped(sample[:: max(1, len(sample) // _LOOKED_AT)]) if len(sample) else 0.0
    if share > _MANY:
        said.append(
            f"grey values: {100 * share:.0f} % of the pixels lie outside {chosen.low:g} to {chosen.high:g} "
            "and are cut off: grey.low and grey.high of data.source say what becomes 0 and 1"
        )
    settings = {"grey": {"_target_": "eqvae.data.Grey", **asdict(chosen)}}
    images = Pixels(stored, chosen, keep=keep, ends=ends)
    return images[:] if few else images, settings, said


def _spread(stored: StoredImages) -> np.ndarray:
    """Numbers of images, spread over all of them."""
    image = stored.dtype.itemsize * int(np.prod(stored.shape[1:]))
    apart = -(-len(stored) * image // _SAMPLE_BYTES)
    if apart <= 1:
        return np.arange(len(stored))
    if stored.chunk == 1:
        return np.arange(0, len(stored), apart)
    rows = np.arange(len(stored))
    return rows[rows // stored.chunk % apart == 0]


def _range(ends: np.ndarray) -> tuple[float, float] | None:
    """Smallest and largest finite number of all images, of those of each."""
    finite = ends[np.isfinite(ends)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def grouped(seen: Survey, groups: Tensor | None = None) -> tuple[Tensor | None, list[str]]:
    """Groups such that images that are equal, number by number, never come into two splits.

    Args:
        seen: what a look at the images has found.
        groups: what must not be torn apart besides, (N,).

    Returns:
        The groups, joined where equal images are in two of them, and a line that says so; those of before
        where no image comes twice.
    """
    same = seen.same
    twins = int((same != np.arange(len(same))).sum())
    if not twins:
        return groups, []
    joined = same if groups is None else _joined(same, groups.numpy())
    return torch.from_numpy(joined), [f"{twins} images equal another; they stay in one split"]


def _joined(same: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Numbers of the parts that images are connected in by being equal or of one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = (np.unique(numbers, return_inverse=True)[1] for numbers in (same, groups))
    count = a.max() + b.max() + 2
    links = coo_array((np.ones(len(a)), (a, a.max() + 1 + b)), shape=(count, count))
    return connected_components(links, directed=False)[1][a].astype(np.int64)


def numbered(
    names: Sequence[str | None], classes: Sequence[str] | None
) -> tuple[Tensor, tuple[str, ...], list[str]]:
    """Numbers of classes by name, the names by number, and lines about unknown ones.

    Args:
        names: of each image's class, None where unknown.
        classes: names that have a number already, in their order; new ones follow them.
    """
    found = sorted({str(name) for name in names if name is not None})
    known = list(map(str, classes or ()))
    new = [name for name in found if name not in known]
    said = []
    if classes is not None and new:
        said.append(f"classes that the run did not know: {listing(new)}")
    every = [*known, *new]
    number = {name: i for i, name in enumerate(every)}
    labels = [-1 if name is None else number[str(name)] for name in names]
    return torch.tensor(labels, dtype=torch.int64), tuple(every), said


def absolute(path: str | Path) -> str:
    """A path that means the same file wherever the run is looked at from."""
    return str(user_path(path).resolve())
