"""The columns of an embedding: their names in order, their types, and rows of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

CONTENT = "content_"  # content_0, content_1, ...
_REAL, _WHOLE, _YES_OR_NO = pa.float32(), pa.int64(), pa.bool_()
_BEFORE = {"index": _WHOLE, "name": pa.string(), "label": _WHOLE, "class": pa.string()}
_AFTER = {
    "angle_degrees": _REAL,
    "x_pixels": _REAL,
    "y_pixels": _REAL,
    "reflected": _YES_OR_NO,
    "angle_credible90_degrees": _REAL,
    "angle_sd_degrees": _REAL,
    "x_sd_pixels": _REAL,
    "y_sd_pixels": _REAL,
    "symmetry_order": _WHOLE,
    "pose_known": _YES_OR_NO,
    "log_likelihood": _REAL,
    "cluster": _WHOLE,
    "cluster_probability": _REAL,
}


def schema(content: int, own: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """The columns of rows with so many coordinates of content, and with those that a source adds."""
    contents = {f"{CONTENT}{i}": _REAL for i in range(content)}
    return pa.schema(_BEFORE | dict(own or {}) | contents | _AFTER)


def record(
    values: Mapping[str, Any], n: int, own: Mapping[str, np.ndarray] | None = None
) -> pa.RecordBatch:
    """n rows of the columns that are known; the others are empty.

    Args:
        values: by the names that every embedding has.
        n: number of rows.
        own: by the names that a source of images adds.
    """
    own = {} if own is None else {name: pa.array(column) for name, column in own.items()}
    columns = schema(
        sum(name.startswith(CONTENT) for name in values),
        {name: column.type for name, column in own.items()},
    )
    arrays = [
        own[field.name] if field.name in own else _array(values.get(field.name), field.type, n)
        for field in columns
    ]
    return pa.record_batch(arrays, schema=columns)


def check_own(names: Iterable[str]) -> None:
    """Refuse names of a source's columns that an embedding has already.

    Raises:
        ValueError: if there is one.
    """
    taken = [n for n in names if n in _BEFORE or n in _AFTER or n.startswith(CONTENT)]
    if taken:
        raise ValueError(
            f"columns of images must have names that an embedding has not; {taken[0]!r} is one of its own. "
            "Give it another name."
        )


def replaced(rows: pa.RecordBatch, values: dict[str, Any]) -> pa.RecordBatch:
    """The rows with other values in some columns."""
    for name, column in values.items():
        field, place = rows.schema.field(name), rows.schema.get_field_index(name)
        rows = rows.set_column(place, field, _array(column, field.type, len(rows)))
    return rows


def _array(values: Any, kind: pa.DataType, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, kind)
    if torch.is_tensor(values):
        values = values.cpu().numpy()
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values)).cast(kind)
    return (
        pa.array(values, kind) if isinstance(values, list | tuple) else pa.array(values).cast(kind)
    )
