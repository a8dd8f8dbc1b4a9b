"""The columns of an embedding that say something, as arrays with their gaps, for tables of other fields."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from eqvae.embedding.columns import CONTENT
from eqvae.embedding.table import Embedding


@dataclass(frozen=True)
class Filled:
    """A column.

    Attributes:
        name: of the column.
        values: (N,) numbers, booleans or strings; where it is empty NaN, 0, False or "".
        empty: where it is empty, (N,).
    """

    name: str
    values: np.ndarray
    empty: np.ndarray

    @property
    def kind(self) -> str:
        """One letter as numpy has it: f, i, b, or U for strings."""
        return self.values.dtype.kind


def filled(embedding: Embedding, *, content: bool) -> Iterator[Filled]:
    """The columns in their order, without those that are empty in every row.

    Args:
        content: whether the coordinates of content are among them.
    """
    for name in embedding.columns:
        column = embedding.table.column(name).combine_chunks()
        if column.null_count == len(column) or (name.startswith(CONTENT) and not content):
            continue
        yield Filled(name, _array(column), column.is_null().to_numpy(zero_copy_only=False))


def _array(column: pa.Array) -> np.ndarray:
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=str)
    gap = False if pa.types.is_boolean(column.type) else 0
    return column.fill_null(gap).to_numpy(zero_copy_only=False)
