"""The one way to name a file as users do, and the one way to write one: whole under its name, or not there.

A file is written beside its place under another name, brought to the disk and renamed, which the file system
does in one step: whoever reads it sees the old file or the new one, and a process that is killed leaves the
old one. Its own half is then left as a hidden file that ends in .part.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def user_path(path: str | Path) -> Path:
    """A path as the user gives it, where a leading ~ or ~user is a home folder."""
    return Path(path).expanduser()


@contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """The path to write to so that a whole file then stands at `path`.

        with written("numbers.json") as partial:
            partial.write_text(text)

    When the block ends in an error, what it wrote is removed and `path` is as before.

    Args:
        path: of the file; its folder exists.

    Raises:
        OSError: if it can't be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
