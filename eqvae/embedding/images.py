"""Images as they come, in one tensor or in batches, as checked batches of a chosen size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.watch import Watch, unwatched

Images = Tensor | np.ndarray | Batch | Iterable[Tensor | Batch]


def image_batches(
    model: Model,
    images: Images,
    size: int,
    transfer: Tensor | None = None,
    watch: Watch = unwatched,
    what: str = "embedding",
) -> Iterator[Batch]:
    """Batches of at most `size` images, numbered where they are not.

    Args:
        model: whose images they are.
        images: (N, C, H, H) in [0, 1], or a `Batch`; or an iterable of either.
        size: most images in a batch.
        transfer: radial transfer functions of the optics, (N, Q), for images in one tensor.
        watch: wraps the batches with a progress bar.
        what: the work that it names.

    Raises:
        ValueError: if images are of the wrong shape, not finite or out of range, or lengths differ.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"batch must be a whole number of at least 1; got {size!r}.")
    shape, first = model.image_shape, 0
    for given in watch(_parts(images, transfer, shape, size), what):
        batch = _batch(given, shape)
        if batch.index is None:
            batch = batch.replace(index=torch.arange(first, first + len(batch)))
        for i in range(0, len(batch), size):
            part = batch[i : i + size]
            _check(part.image, first)
            first += len(part)
            yield part


@dataclass(frozen=True)
class _Parts:
    """Parts of a batch that know how many they are, for a progress bar."""

    whole: Batch
    size: int

    def __len__(self) -> int:
        return -(-len(self.whole) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        for i in range(0, len(self.whole), self.size):
            yield self.whole[i : i + self.size]


def _parts(
    images: Images, transfer: Tensor | None, shape: tuple[int, int, int], size: int
) -> Iterable[Tensor | Batch]:
    if isinstance(images, np.ndarray | Tensor):
        images = _batch(images, shape).replace(transfer=transfer)
    elif transfer is not None:
        raise ValueError(
            "transfer goes with images in one tensor; put it into each Batch of images instead."
        )
    return _Parts(images, size) if isinstance(images, Batch) else images


def _batch(given: Tensor | np.ndarray | Batch, shape: tuple[int, int, int]) -> Batch:
    """A batch of images of that shape."""
    x = given.image if isinstance(given, Batch) else torch.as_tensor(given)
    if x.dim() != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(
            f"images must be (N, {', '.join(map(str, shape))}), as the model was trained on; "
            f"got {tuple(x.shape)}. Crop, pad or resize them."
        )
    return given if isinstance(given, Batch) else Batch(x)


def _check(x: Tensor, first: int) -> None:
    """Refuse pixels that are no grey values; `first` is the number of the first image."""
    if not x.dtype.is_floating_point:
        raise ValueError(
            f"images must be float in [0, 1]; got {x.dtype}. Divide by the largest value."
        )
    wrong = ~x.isfinite().flatten(1).all(dim=1)
    if wrong.any():
        raise ValueError(
            f"images must be finite; image {first + int(wrong.nonzero()[0])} holds NaN or infinity. "
            "Leave it out."
        )
    if len(x) and (x.min() < -0.5 or x.max() > 1.5):  # interpolation may overshoot a little
        raise ValueError(
            f"images must lie in [0, 1]; got {float(x.min()):g} to {float(x.max()):g}. Scale them."
        )
