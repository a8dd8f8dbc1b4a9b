"""The columns of an embedding as a page reads them: numbers as they are, words as numbers and a list."""

from typing import Any

import numpy as np
import pyarrow as pa

from eqvae.embedding.table import Embedding
from eqvae.explore.page.script import numbers

_KINDS = 24  # words, at most, of a column that says a kind; more if most of them come several times
_EACH = 3  # images, on average, that share one of more words


def packed(embedding: Embedding) -> list[dict[str, Any]]:
    """The columns that are not empty, each with its name and

    type "number"   `data`, float32 or float64 by `dtype`, NaN where nothing is known
         "kind"     `data`, int32 places in `words`, -1 where nothing is known
         "text"     `words`, one for each row
    """
    table = embedding.table
    return [_column(name, table) for name in table.column_names if not _empty(table, name)]


def _empty(table: pa.Table, name: str) -> bool:
    return table.column(name).null_count == table.num_rows


def _column(name: str, table: pa.Table) -> dict[str, Any]:
    column = table.column(name)
    if pa.types.is_floating(column.type):
        return {"name": name, "type": "number", **_numbers(column)}
    if pa.types.is_integer(column.type) and name not in ("label", "cluster", "symmetry_order"):
        return {"name": name, "type": "number", **_numbers(column.cast(pa.float64(), safe=False))}
    words = column.to_pylist()
    kinds = sorted({word for word in words if word is not None})
    most = max(_KINDS, len(words) // _EACH)
    if pa.types.is_string(column.type) and len(kinds) > most and name != "class":
        return {"name": name, "type": "text", "words": ["" if w is None else w for w in words]}
    place = {word: i for i, word in enumerate(kinds)}
    codes = np.array([place.get(word, -1) for word in words], dtype=np.int32)
    shown = [str(word).lower() if isinstance(word, bool) else str(word) for word in kinds]
    return {"name": name, "type": "kind", "words": shown, "data": numbers(codes)}


def _numbers(column: pa.ChunkedArray) -> dict[str, str]:
    array = column.to_numpy(zero_copy_only=False)
    return {"dtype": array.dtype.name, "data": numbers(array)}
