"""Whether exported functions do what the model does.

    difference = max |exported - original| / max(1, max |original|),    angles modulo 2 pi

over images and noise in batches of several sizes. A search has ties: where the two likeliest poses
that the original weighs are equal to 1e-2 nats, rounding decides which of them is named. An image that
differs there, and whose pose is a likeliest one by the original's own weights, is not compared but counted
as undecided; not more than half of them may be.

Where the original's own rounding is larger than that, an image may agree with the original in float64
instead: torch 2.14's group norm of channels that lie last in memory is up to 1e-4 off in float32.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.export.functions import Function
from eqvae.symmetry.motions import angle_of, with_angle

TOLERANCE = 1e-5
SIZES = (1, 4, 16)  # of batches; graphs are traced with another one
_UNDECIDED = 1e-2  # nats, between the two likeliest poses
_LIKELY = (
    0.2  # nats, of the pose that is named below the likeliest: bins are a standard deviation apart
)

Run = Callable[..., Sequence[Tensor]]


class DifferenceError(ValueError):
    """What was written does not do what the model does."""


@dataclass(frozen=True)
class Comparison:
    """An exported function beside the original.

    Attributes:
        difference: see above.
        images: how many were compared.
        undecided: how many more name another one of several equally likely poses.
    """

    difference: float
    images: int
    undecided: int


@torch.no_grad()
def compared(run: Run, function: Function, inputs: tuple[Tensor, ...]) -> Comparison:
    """An exported function beside the original.

    Args:
        run: the exported one.
        function: what it should do.
        inputs: rows of images, latents or motions; batches are taken from their beginning.

    Returns:
        The comparison, its difference infinite if shapes differ, a number is not finite, or most images are
        undecided.
    """
    rows, excused = [], []
    for size in SIZES:
        batch = tuple(part[:size] for part in inputs)
        found, expected = run(*batch), function.original(*batch)
        if [part.shape for part in found] != [part.shape for part in expected]:
            return Comparison(math.inf, 0, 0)
        off = _differences(function, found, expected)
        if (off > TOLERANCE).any():
            precise = deepcopy(function.original).double()(*(part.double() for part in batch))
            off = off.minimum(_differences(function, found, precise))
        rows.append(off)
        excused.append((rows[-1] > TOLERANCE) & _undecided(function, batch, found))
    row, out = torch.cat(rows), torch.cat(excused)
    left, undecided = row[~out], int(out.sum())
    if undecided > len(left):
        return Comparison(math.inf, len(left), undecided)
    return Comparison(float(left.amax()), len(left), undecided)


def _differences(function: Function, found: Sequence[Tensor], expected: Sequence[Tensor]) -> Tensor:
    """Of each row, relative to the largest number of all, (B,)."""
    by_output = []
    for name, a, b in zip(function.outputs, found, expected, strict=True):
        off = _wrapped(a - b) if name == "pose" else a - b
        off = off.abs().flatten(1).amax(1) / b.abs().amax().clamp_min(1.0)
        by_output.append(off.nan_to_num(nan=math.inf))
    return torch.stack(by_output).amax(0)


def _wrapped(off: Tensor) -> Tensor:
    """Differences of motions (..., 4), their angles within half a turn."""
    return with_angle(off, torch.remainder(angle_of(off) + math.pi, 2 * math.pi) - math.pi)


def _undecided(function: Function, batch: tuple[Tensor, ...], found: Sequence[Tensor]) -> Tensor:
    """Whose pose is one of several likeliest, (B,)."""
    if function.searched is None:
        return torch.zeros(len(batch[0]), dtype=torch.bool)
    q, named = function.searched(batch, found)
    best = q.log_weights.topk(min(2, q.log_weights.shape[1]), 1).values
    nearest = _wrapped(q.bins - named[:, None]).abs().amax(2).argmin(1, keepdim=True)
    lost = best[:, 0] - q.log_weights.gather(1, nearest)[:, 0]
    tied = (best[:, 0] - best[:, -1] < _UNDECIDED) & (best.shape[1] > 1)
    return tied & (lost < _LIKELY)
