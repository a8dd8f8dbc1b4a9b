"""The files of an embedding: Parquet and CSV, written and read in parts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from eqvae.files import written
from eqvae.formulas import FORMULA

PARQUET, CSV, PART = "embedding.parquet", "embedding.csv", "embedding.arrow.part"
_GROUP = 5_000  # rows, at least, of a row group in the file


def write_files(parts: Iterable[pa.RecordBatch], folder: Path, *, csv: bool = True) -> Path:
    """Write embedding.parquet, and embedding.csv unless it is not wanted; returns the path of the first."""
    path = write_parquet(parts, folder / PARQUET)
    if csv:
        write_csv(read_batches(path, _GROUP), folder / CSV)
    return path


def write_parquet(parts: Iterable[pa.RecordBatch], path: Path) -> Path:
    """Write rows that come in batches as Parquet."""
    parts = iter(parts)
    first = next(parts)
    with written(path) as partial, pa.parquet.ParquetWriter(partial, first.schema) as parquet:
        for group in _groups(first, parts):
            parquet.write_table(group.combine_chunks())
    return path


def write_csv(parts: Iterable[pa.RecordBatch], path: Path) -> Path:
    """Write rows that come in batches as text; names that would be formulas are marked, see `formulas`."""
    parts = map(_without_formulas, parts)
    first = next(parts)
    with written(path) as partial, pa.csv.CSVWriter(partial, first.schema) as csv:
        csv.write_batch(first)
        for part in parts:
            csv.write_batch(part)
    return path


def read_table(path: str | Path) -> pa.Table:
    """The whole table, from its Parquet file or the folder of it."""
    return pa.parquet.read_table(_parquet(path))


def read_batches(path: str | Path, size: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches, from the Parquet file or the folder of it."""
    with pa.parquet.ParquetFile(_parquet(path)) as file:
        yield from file.iter_batches(size)


def _without_formulas(part: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        pa.compute.replace_substring_regex(column, FORMULA, r"'\1")
        if pa.types.is_string(column.type)
        else column
        for column in part.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=part.schema)


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
