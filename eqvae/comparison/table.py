"""The results of a comparison: a file for each finished cell, one table of all.

Cells write their file in one step (a temporary name, then a rename), so that a killed process, a full disk or
a second worker never leaves half a result. The table is made anew from the files; a table that is there
already counts as finished cells too, so a clone goes on where the commit stopped.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eqvae.files import write_whole
from eqvae.stored import read_json

COLUMNS: dict[str, type] = {
    "block": str, "arm": str, "scenario": str, "images": int, "match": str, "weight": float, "seed": int,
    "lr": float, "status": str, "step": int, "parameters": int, "macs": float, "epochs": float,
    "seconds": float, "wall_seconds": float, "val_elbo": float, "elbo": float, "free_energy": float,
    "iwae": float,
    "squared_error": float, "kl": float, "encoder_error": float, "encoder_shift_error": float,
    "decoder_error": float, "pose_degrees": float, "shift_px": float, "leak_r2": float,
    "clustering": float, "dial": float, "grad_cosine": float, "cell": str, "design": str, "reason": str,
}  # fmt: skip
DONE = ("finished", "diverged")


class Results:
    """Rows of cells by name, kept in a folder.

    Args:
        folder: of the cells' files.
        table: path of a Parquet file from before, whose rows count as finished; it may be missing.
    """

    def __init__(self, folder: str | Path, table: str | Path | None = None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        known = read_table(table) if table is not None and Path(table).is_file() else []
        self.before = {row["cell"]: row for row in known if row["status"] in DONE}

    def get(self, cell: str) -> dict[str, Any] | None:
        """The row of a cell, None if it was never run."""
        path = self.folder / f"{cell}.json"
        if path.is_file():
            return _row(path)
        return self.before.get(cell)

    def done(self, cell: str) -> bool:
        """Whether a cell need not be run again: one that failed or was killed must."""
        row = self.get(cell)
        return row is not None and row["status"] in DONE

    def rows(self) -> dict[str, dict[str, Any]]:
        """All rows by the name of their cell."""
        own = {file.stem: _row(file) for file in self.folder.glob("*.json")}
        return self.before | own

    def put(self, cell: str, row: Mapping[str, Any]) -> None:
        """Keep a row.

        Raises:
            OSError: if it can't be written; what was there stays.
        """
        write_whole(self.folder / f"{cell}.json", json.dumps({**row, "cell": cell}, indent=1))

    @contextmanager
    def running(self, cell: str) -> Iterator[None]:
        """Inside, a mark says that the cell is being run; it is left where the process is killed."""
        self._mark(cell).touch()
        try:
            yield
        finally:
            self.forget_running(cell)

    def left_running(self, cell: str) -> bool:
        """Whether the process of a cell, which is over, was killed."""
        return self._mark(cell).exists()

    def forget_running(self, cell: str) -> None:
        """Take the mark of a killed process away."""
        self._mark(cell).unlink(missing_ok=True)

    def _mark(self, cell: str) -> Path:
        return self.folder / f"{cell}.running"


def _row(path: Path) -> dict[str, Any]:
    row = read_json(path)
    if not isinstance(row, dict) or "status" not in row:
        raise ValueError(f"{path} is no row of a comparison. Delete it, and the cell is run again.")
    return row


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a Parquet table; what it was written without is None."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    return [{name: row.pop(name, None) for name in COLUMNS} | row for row in rows]


def write_table(rows: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows as Parquet; columns and their order are `COLUMNS`."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    full = [
        {name: None if row.get(name) is None else kind(row[name]) for name, kind in COLUMNS.items()}
        for row in rows
    ]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(full, schema=schema), buffer)
    write_whole(path, buffer.getvalue())
