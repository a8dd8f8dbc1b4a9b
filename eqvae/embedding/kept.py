"""Rows as they are computed, in a file that a killed process leaves behind and the next one goes on with.

The file is an Arrow stream whose schema carries a key of what the rows say of what; other rows are never
taken for them. A batch that was cut off in writing is not there.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

_KEY = b"eqvae.key"


class KeptRows:
    """Rows in a file.

    Args:
        path: of the file.
        key: of what the rows are; None keeps nothing beyond this process.
    """

    def __init__(self, path: Path, key: str | None):
        self.path, self.key = path, key
        self._before = path.with_name(f"{path.name}.before")
        self._sink: pa.OSFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def taken_up(self) -> Iterator[pa.RecordBatch]:
        """Rows that a process before this one has computed, which are written anew."""
        if self.key is None:
            self._before.unlink(missing_ok=True)
            return
        if self.path.exists() and not self._before.exists():  # else it was copying when it ended
            self.path.replace(self._before)
        for rows in _whole_batches(self._before, self.key):
            self.add(rows)
            yield rows
        self._before.unlink(missing_ok=True)

    def add(self, rows: pa.RecordBatch) -> None:
        """Write rows."""
        known = None if self.key is None else {_KEY: self.key.encode()}
        rows = rows.replace_schema_metadata(known)
        if self._writer is None:
            self._sink = pa.OSFile(str(self.path), "wb")
            self._writer = pa.ipc.new_stream(self._sink, rows.schema)
        self._writer.write_batch(rows)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """All rows that were written; no more can be added."""
        self.close()
        with pa.OSFile(str(self.path)) as source:
            for rows in pa.ipc.open_stream(source):
                yield rows.replace_schema_metadata(None)

    def close(self) -> None:
        """Bring to the disk what was written."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = None

    def remove(self) -> None:
        """Nothing is left."""
        self.close()
        self.path.unlink(missing_ok=True)


def _whole_batches(path: Path, key: str) -> Iterator[pa.RecordBatch]:
    """The batches of a file that are whole, if they are those of this key."""
    if not path.exists():
        return
    try:
        with pa.OSFile(str(path)) as source:
            stream = pa.ipc.open_stream(source)
            if (stream.schema.metadata or {}).get(_KEY) != key.encode():
                return
            for rows in stream:
                yield rows.replace_schema_metadata(None)
    except (pa.ArrowInvalid, OSError):  # cut off: what came before is whole
        return
