"""What every metric takes: arrays or tensors of the same length, finite, checked once at the entry.

codes     (N, D) numbers
factors   {name: array}: integers (N,) are classes, floats (N,) are continuous, and floats (N, k) are
          vectors, such as (cos, sin) of an angle or a position
blocks    {name: columns of the codes}: the irrep blocks of a latent, or any other grouping; None makes every
          column a block of its own
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

Codes = ArrayLike
Factors = Mapping[str, ArrayLike]
Blocks = Mapping[str, Sequence[int]] | None


def as_array(values: ArrayLike, name: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    """A NumPy array of one of the numbers of dimensions; floats become float64.

    Args:
        values: array, list or tensor (detached and brought to the CPU).
        name: for the message.
        ndim: allowed numbers of dimensions.

    Raises:
        ValueError: if it has another number of dimensions, is empty, or holds NaN or infinity.
    """
    if torch.is_tensor(values):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {wanted} dimension(s); got shape {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {array.shape}.")
    if array.dtype.kind in "fc":
        array = array.astype(np.float64)
        bad = ~np.isfinite(array)
        if bad.any():
            row = int(np.argwhere(bad)[0, 0])
            raise ValueError(
                f"{name} must be finite; {int(bad.sum())} of {array.size} values are NaN or infinite, "
                f"the first in row {row}. Leave those rows out."
            )
    return array


def as_codes(codes: Codes, name: str = "codes") -> np.ndarray:
    """Codes as float64 (N, D)."""
    return as_array(codes, name, 2).astype(np.float64)


def as_classes(labels: ArrayLike, name: str = "labels") -> np.ndarray:
    """Classes as 0, 1, ..., K - 1, (N,), in the order of their values.

    Raises:
        ValueError: if they are not whole numbers, or any is negative (unknown).
    """
    array = as_array(labels, name, 1)
    if array.dtype.kind == "f" and np.array_equal(array, np.round(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise ValueError(f"{name} must be whole numbers, one class each; got {array.dtype}.")
    if (array < 0).any():
        raise ValueError(
            f"{name} must be known; {int((array < 0).sum())} of {len(array)} are negative (unknown). "
            "Leave those rows out."
        )
    return np.unique(array, return_inverse=True)[1]


def as_factors(factors: Factors, n: int) -> dict[str, np.ndarray]:
    """Factors as arrays: int64 (N,) for classes, float64 (N,) or (N, k) otherwise.

    Raises:
        ValueError: if there are none, or one has another length than the codes.
    """
    if not factors:
        raise ValueError("factors must name at least one factor; got none.")
    arrays = {}
    for name, values in factors.items():
        array = as_array(values, f"factor {name!r}", (1, 2))
        check_lengths(codes=n, **{f"factor {name!r}": array})
        arrays[name] = array.astype(np.int64) if array.dtype.kind in "iub" else array
    return arrays


def as_blocks(blocks: Blocks, dim: int) -> dict[str, np.ndarray]:
    """Blocks as index arrays; None makes every column a block of its own, named by its number.

    Raises:
        ValueError: if a block is empty, names a column that the codes lack, or shares one.
    """
    if blocks is None:
        return {str(d): np.array([d]) for d in range(dim)}
    index = {
        name: np.atleast_1d(np.asarray(columns, dtype=int)) for name, columns in blocks.items()
    }
    columns = np.concatenate([*index.values(), np.empty(0, int)])
    if not index or any(len(i) == 0 for i in index.values()):
        raise ValueError(f"blocks must name columns of the codes; got {dict(blocks)}.")
    if columns.min() < 0 or columns.max() >= dim or len(np.unique(columns)) < len(columns):
        raise ValueError(
            f"blocks must share no column and stay within 0..{dim - 1}, the columns of the codes; "
            f"got { ({k: v.tolist() for k, v in index.items()}) }."
        )
    return index


def check_lengths(**arrays: ArrayLike | int) -> int:
    """The common length of arrays (or a given number of rows).

    Raises:
        ValueError: naming all of them, if they differ.
    """
    lengths = {k: v if isinstance(v, int) else len(v) for k, v in arrays.items() if v is not None}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"all arrays must have one row for each sample; got {said}.")
    return next(iter(lengths.values()))


def check_keywords(given: Mapping[str, object], known: type) -> None:
    """Refuse keywords that a `TypedDict` of them does not have.

    Raises:
        TypeError: naming them.
    """
    unknown = sorted(set(given) - set(known.__annotations__))
    if unknown:
        raise TypeError(
            f"unknown keyword {', '.join(unknown)}; known are those in the signature and "
            f"{', '.join(known.__annotations__)}."
        )
