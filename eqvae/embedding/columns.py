"""The columns of an embedding: their names in order, their types, and rows of them."""

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


def schema(content: int) -> pa.Schema:
    """The columns of rows with so many coordinates of content."""
    return pa.schema(_BEFORE | {f"{CONTENT}{i}": _REAL for i in range(content)} | _AFTER)


def record(values: dict[str, Any], n: int) -> pa.RecordBatch:
    """n rows of the columns that are known; the others are empty."""
    columns = schema(sum(name.startswith(CONTENT) for name in values))
    arrays = [_array(values.get(field.name), field.type, n) for field in columns]
    return pa.record_batch(arrays, schema=columns)


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
