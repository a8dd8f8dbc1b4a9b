"""The files of an embedding: Parquet and CSV, written and read in parts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from eqvae.files import MANIFEST, check_listed, listed, write_whole, written
from eqvae.formulas import FORMULA

PARQUET, CSV, PART = "embedding.parquet", "embedding.csv", "embedding.arrow.part"
CONFIG = "config.yaml"
_ABOUT = b"eqvae.about"
_GROUP = 5_000  # rows, at least, of a row group in the file


def write_files(
    parts: Iterable[pa.RecordBatch],
    folder: Path,
    *,
    csv: bool = True,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write embedding.parquet, and embedding.csv unless it is not wanted; returns the path of the first.

    What was made of the rows before goes away first, so that nothing in the folder speaks of other rows than
    the table does; and the table itself says what it is of, see `about_of`.

    Args:
        parts: the rows.
        folder: where to write.
        csv: whether to write embedding.csv, too.
        about: what the rows are of, a plain configuration, for the table and config.yaml.
    """
    from omegaconf import OmegaConf

    partial = write_parquet(parts, folder / f".{PARQUET}.new", about)
    for name in {CONFIG, *listed(folder)} - {PARQUET}:
        (folder / name).unlink(missing_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    path = partial.replace(folder / PARQUET)
    if about is not None:
        write_whole(folder / CONFIG, OmegaConf.to_yaml(dict(about)))
    if csv:
        write_csv(read_batches(path, _GROUP), folder / CSV)
    return path


def write_parquet(
    parts: Iterable[pa.RecordBatch], path: Path, about: Mapping[str, Any] | None = None
) -> Path:
    """Write rows that come in batches as Parquet, with what they are of, if that is known."""
    parts = iter(parts)
    first = next(parts)
    known = None if about is None else {_ABOUT: json.dumps(about).encode()}
    schema = first.schema.with_metadata(known)
    with written(path) as partial, pa.parquet.ParquetWriter(partial, schema) as parquet:
        for group in _groups(first, parts):
            parquet.write_table(group.combine_chunks().replace_schema_metadata(known))
    return path


def about_of(folder: Path) -> dict[str, Any]:
    """What the rows of an embedding are of, as `write_embedding` was told; of an older one what config.yaml
    beside it says; nothing where neither does.
    """
    from eqvae.registry import check_parts, stored_configuration
    from eqvae.stored import plain_json

    known = (pa.parquet.read_schema(folder / PARQUET).metadata or {}).get(_ABOUT)
    if known is not None:
        about = plain_json(known, str(folder / PARQUET))
        check_parts(about, str(folder / PARQUET))
        return about
    path = folder / CONFIG
    return stored_configuration(path) if path.is_file() else {}


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
    path = path / PARQUET if path.is_dir() else path
    check_listed(path)
    return path


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
