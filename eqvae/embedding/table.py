"""A row for each image: content, pose and how far to trust it, cluster, log-likelihood.

    index, name                  which image it is: the number of its row in the source's files, its file
    label, class                 the number and the name of its class
    content_0, ...               what the object is, whatever its pose
    angle_degrees                mode of q(g | x), counter-clockwise, in [0, 360)
    x_pixels, y_pixels           from the image centre, y up
    reflected                    whether the object is seen as its mirror image; with reflections only
    angle_credible90_degrees     size of the smallest set of angles that holds 90 % of q: 324 says nothing
    angle_sd_degrees             standard deviation within one of the `symmetry_order` equal modes
    x_sd_pixels, y_sd_pixels     standard deviations of the position
    symmetry_order               k if q looks the same after 1/k turn, 0 for any angle
    pose_known                   false where that credible set takes 270 degrees or more
    log_likelihood               ELBO in nats, with the mean content for a draw (which makes it about half
                                 a nat for each content coordinate higher), so that it is no random number
    cluster, cluster_probability component of the content's mixture

Objects that were cut out of whole fields have further columns behind `class`:

    field, field_page            its file, and the number of the image in it where the input says one
    field_x_pixels, field_y_pixels
                                 where the input has the object: columns to the right and rows down of the
                                 middle of the field's first pixel
    mask_label                   its number in the label mask
    field_x_found_pixels, field_y_found_pixels
                                 where the model finds it, in the same frame: x_pixels, y_pixels in the field

and a source of your own may add others, see `ImageSet.columns`.

What a model or its data can't tell is empty. Images are streamed: memory does not grow with their number,
but for what the caller keeps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eqvae.embedding.columns import CONTENT
from eqvae.embedding.files import read_batches, read_table, write_files
from eqvae.symmetry.motions import motion


@dataclass(frozen=True)
class Embedding:
    """A table with the columns that the module's docstring lists.

    Attributes:
        table: a pyarrow Table.
    """

    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def columns(self) -> list[str]:
        return self.table.column_names

    def column(self, name: str) -> np.ndarray:
        """One column, (N,); what is empty is NaN among numbers and None among others.

        Raises:
            ValueError: if there is no such column.
        """
        if name not in self.columns:
            raise ValueError(f"name must be one of {', '.join(self.columns)}; got {name!r}.")
        column = self.table.column(name)
        if pa.types.is_boolean(column.type) and column.null_count:
            return np.array(column.to_pylist(), dtype=object)
        return column.to_numpy(zero_copy_only=False)

    @property
    def content(self) -> np.ndarray:
        """(N, m)."""
        return content_of(self.table)

    @property
    def pose(self) -> Tensor:
        """Motions [reflection, angle, x, y] in radians and pixels, (N, 4), 0 where unknown."""
        return pose_of(self.table)

    def to_frame(self) -> Any:
        """The same as a pandas DataFrame."""
        return self.table.to_pandas()

    def write(self, folder: str | Path) -> Path:
        """Write embedding.parquet and embedding.csv; returns the path of the first."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return write_files(iter(self.table.to_batches()), folder)

    @classmethod
    def read(cls, path: str | Path) -> "Embedding":
        """What was written, from the file or its folder."""
        return cls(read_table(path))


def row_batches(embedding: Embedding | str | Path, size: int = 250) -> Iterator[pa.RecordBatch]:
    """Rows of an embedding in memory, or in a file or folder that is not read at once."""
    if isinstance(embedding, Embedding):
        yield from embedding.table.to_batches(size)
    else:
        yield from read_batches(embedding, size)


class RowStream:
    """Rows taken from batches of them, as many as are asked for."""

    def __init__(self, parts: Iterator[pa.RecordBatch]):
        self._parts, self._waiting = parts, None

    def take(self, n: int) -> pa.Table:
        """The next n rows.

        Raises:
            ValueError: if there are fewer.
        """
        taken, missing = [], n
        while missing:
            part = self._next()
            if part is None:
                raise ValueError(
                    "images are more than the embedding has rows. Give the images it was made of."
                )
            taken.append(part.slice(0, missing))
            self._waiting = part.slice(missing) if len(part) > missing else None
            missing -= len(taken[-1])
        return pa.Table.from_batches(taken)

    def left(self) -> bool:
        """Whether there is another row."""
        self._waiting = self._next()
        return self._waiting is not None

    def _next(self) -> pa.RecordBatch | None:
        if self._waiting is not None:
            return self._waiting
        return next((part for part in self._parts if len(part)), None)


def content_of(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Content of rows, (N, m)."""
    names = [name for name in rows.schema.names if name.startswith(CONTENT)]
    return np.stack([rows.column(name).to_numpy(zero_copy_only=False) for name in names], axis=1)


def pose_of(rows: pa.RecordBatch | pa.Table) -> Tensor:
    """Motions [reflection, angle, x, y] of rows, radians and pixels, (N, 4), 0 where unknown."""
    reflected, angle, x, y = (
        torch.from_numpy(np.nan_to_num(_numbers(rows, name)))
        for name in ("reflected", "angle_degrees", "x_pixels", "y_pixels")
    )
    return motion(torch.deg2rad(angle), torch.stack([x, y], dim=1), reflected, dtype=torch.float64)


def _numbers(rows: pa.RecordBatch | pa.Table, name: str) -> np.ndarray:
    column = rows.column(name).cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)
