"""Images whose rows name a file and a number in it, as tables of particles do."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from eqvae.data.formats.stack import open_stack
from eqvae.data.formats.stored import Stored


def gathered(names: Sequence[str], numbers: np.ndarray, find: Callable[[str], Path]) -> Stored:
    """Images of several stacks in the order of rows.

    Args:
        names: of each row's stack, as the table has it.
        numbers: of the image in its stack, from 0, (N,).
        find: where a stack lies.

    Raises:
        FileNotFoundError: if a stack is missing.
        ValueError: if a stack is damaged or shorter than a row says, or sizes differ.
    """
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    which = np.array([number[name] for name in names])
    stacks = [open_stack(find(name)) for name in number]
    for name, i in number.items():
        rows = np.nonzero(which == i)[0]
        last = rows[numbers[rows].argmax()]
        if numbers[last] >= len(stacks[i]):
            raise ValueError(
                f"{name} holds {len(stacks[i])} images; row {last + 1} names image {numbers[last] + 1}."
            )
        if stacks[i].shape[1:] != stacks[0].shape[1:]:
            raise ValueError(
                f"images must be of one size; {name} has {stacks[i].shape[2:]}, others "
                f"{stacks[0].shape[2:]}."
            )
    dtype = np.result_type(*(stack.dtype for stack in stacks))
    shape = (len(names), *stacks[0].shape[1:])
    return Stored(shape, dtype, partial(_part, stacks, which, numbers, dtype))


def _part(
    stacks: Sequence[Stored],
    which: np.ndarray,
    numbers: np.ndarray,
    dtype: np.dtype,
    first: int,
    last: int,
) -> np.ndarray:
    here, place = which[first:last], numbers[first:last]
    out = np.empty((last - first, *stacks[0].shape[1:]), dtype)
    for i in np.unique(here):
        out[here == i] = stacks[i][place[here == i]]
    return out
