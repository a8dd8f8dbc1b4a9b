"""The files of an embedding: Parquet and CSV, written and read in parts."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

PARQUET, CSV, PART = "embedding.parquet", "embedding.csv", "embedding.arrow.part"
_GROUP = 5_000  # rows, at least, of a row group in the file


def write_files(parts: Iterator[pa.RecordBatch], folder: Path) -> Path:
    """Write embedding.parquet and embedding.csv; returns the path of the first.

    Both are written under other names first: older results stay until new ones are whole.
    """
    paths = {name: folder / f"{name}.part" for name in (PARQUET, CSV)}
    first = next(parts)
    with (
        pa.parquet.ParquetWriter(paths[PARQUET], first.schema) as parquet,
        pa.csv.CSVWriter(paths[CSV], first.schema) as csv,
    ):
        for group in _groups(first, parts):
            parquet.write_table(group.combine_chunks())
            csv.write_table(group)
    for name, path in paths.items():
        path.replace(folder / name)
    return folder / PARQUET


def read_table(path: str | Path) -> pa.Table:
    """The whole table, from its Parquet file or the folder of it."""
    return pa.parquet.read_table(_parquet(path))


def read_batches(path: str | Path, size: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches, from the Parquet file or the folder of it."""
    with pa.parquet.ParquetFile(_parquet(path)) as file:
        yield from file.iter_batches(size)


def _parquet(path: str | Path) -> Path:
    path = Path(path)
    return path / PARQUET if path.is_dir() else path


def _groups(first: pa.RecordBatch, parts: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Row groups of enough rows, the last as large as it comes."""
    waiting, count = [first], len(first)
    for part in parts:
        waiting.append(part)
        count += len(part)
        if count >= _GROUP:
            yield pa.Table.from_batches(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
