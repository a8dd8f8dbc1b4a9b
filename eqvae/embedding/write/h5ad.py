"""embedding.h5ad: an AnnData for scanpy, squidpy and their kin, written as its documentation lays it out.

    X, obsm["content"]   content, (N, m) float32
    obsm["spatial"]      (N, 2) pixels: where objects lie in the field that they were cut from, x to the right
                         and y down as squidpy has it; else x and y in the image, y up, if the model finds any
    obs                  every other column; class and cluster as categories, in words
    obs_names            names of the images; numbers of their rows where names are missing or repeat
    var_names            content_0, ...

Columns that are empty in every row are left out. It is written by h5py alone: anndata's own writers refuse
strings beside pandas 3 on Python 3.11.

References:
    anndata: On-disk format, https://anndata.readthedocs.io/en/stable/fileformat-prose.html, encodings of
    0.8 and later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqvae.embedding.columns import CONTENT
from eqvae.embedding.table import Embedding
from eqvae.embedding.write.filled import Filled, filled
from eqvae.embedding.write.format import Origin, TableFormat, whole
from eqvae.files import written

if TYPE_CHECKING:
    from h5py import Group

_POSITIONS = (("field_x_pixels", "field_y_pixels"), ("x_pixels", "y_pixels"))  # the first there is


class H5ad(TableFormat):
    """AnnData, the table of single-cell tools."""

    name, file = "h5ad", "embedding.h5ad"
    library, extra = "h5py", "h5ad"

    def check(self, origin: Origin) -> None:
        """Every source will do."""

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        import h5py

        table = whole(embedding)
        content = table.content.astype(np.float32)
        columns = list(filled(table, content=False))
        with written(path) as partial, h5py.File(partial, "w") as file:
            _encoded(file, "anndata", "0.1.0")
            _array(file, "X", content)
            obs = [column for column in columns if column.name != "name"]
            _frame(file, "obs", _names(table), obs)
            _frame(file, "var", [f"{CONTENT}{i}" for i in range(content.shape[1])], [])
            for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
                _encoded(file.create_group(name), "dict", "0.1.0")
            _array(file["obsm"], "content", content)
            known = {column.name: column.values for column in columns}
            place = next((names for names in _POSITIONS if set(names) <= set(known)), None)
            if place is not None:
                _array(file["obsm"], "spatial", np.stack([known[n] for n in place], axis=1))


def _names(table: Embedding) -> list[str]:
    names = table.table.column("name").to_pylist()
    known = None not in names and len(set(names)) == len(names)
    return names if known else [str(i) for i in table.column("index")]


def _encoded(item: Any, kind: str, version: str) -> Any:
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
    return item


def _array(group: "Group", name: str, values: np.ndarray) -> None:
    _encoded(group.create_dataset(name, data=values), "array", "0.2.0")


def _strings(group: "Group", name: str, values: Sequence[str]) -> None:
    import h5py

    data = np.array(values, dtype=object)
    item = group.create_dataset(name, data=data, dtype=h5py.string_dtype())
    _encoded(item, "string-array", "0.2.0")


def _frame(file: "Group", name: str, index: Sequence[str], columns: Sequence[Filled]) -> None:
    import h5py

    frame = _encoded(file.create_group(name), "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    order = np.array([column.name for column in columns], dtype=h5py.string_dtype())
    frame.attrs.create("column-order", order, dtype=h5py.string_dtype())
    _strings(frame, "_index", index)
    for column in columns:
        if column.kind == "U" or column.name == "cluster":
            _categories(frame, column)
        elif column.kind in "ib" and column.empty.any():
            kind = "integer" if column.kind == "i" else "boolean"
            both = _encoded(frame.create_group(column.name), f"nullable-{kind}", "0.1.0")
            _array(both, "values", column.values)
            _array(both, "mask", column.empty)
        else:
            _array(frame, column.name, column.values)


def _categories(frame: "Group", column: Filled) -> None:
    """A column as categories, numbers in their order; -1 where it is empty."""
    values, codes = np.unique(column.values[~column.empty], return_inverse=True)
    every = np.full(len(column.values), -1, dtype=np.int32)
    every[~column.empty] = codes
    item = _encoded(frame.create_group(column.name), "categorical", "0.2.0")
    item.attrs["ordered"] = False
    _array(item, "codes", every)
    _strings(item, "categories", [str(value) for value in values])
