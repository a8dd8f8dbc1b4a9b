"""The one way to name a file as users do, and the one way to write one: whole under its name, or not there.

A file is written beside its place under another name, brought to the disk and renamed, which the file system
does in one step: whoever reads it sees the old file or the new one, and a process that is killed leaves the
old one. Its own half is then left as a hidden file that ends in .part.
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def user_path(path: str | Path) -> Path:
    """A path as the user gives it, where a leading ~ or ~user is a home folder."""
    return Path(path).expanduser()


def cache_folder() -> Path:
    """Where files are kept that were made or fetched once: $XDG_CACHE_HOME/eqvae, or ~/.cache/eqvae."""
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "eqvae"


def made_folder(path: str | Path) -> Path:
    """A folder to write to, made if it is not there.

    Raises:
        ValueError: if there is a file of that name.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"out must be a folder; {path} is a file. Name another place.")
    path.mkdir(parents=True, exist_ok=True)
    return path


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
        _flush(partial)
        partial.replace(path)
        _bring_to_disk(path.parent)
    except OSError as error:
        if error.filename is None or error.filename == str(
            partial
        ):  # of a write, or of the other name
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def written_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder to fill, which then takes the place of `folder`, as `written` does for a file.

    Two names can't be changed in one step: the old folder is put aside as .NAME.before while the new one
    takes its place, and comes back at the next call if the process was killed between the two.

    Args:
        folder: of the result; it may be there already.

    Raises:
        OSError: if it can't be written.
    """
    folder = Path(folder)
    before = folder.with_name(f".{folder.name}.before")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    if before.exists() and not folder.exists():
        before.rename(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _flush(file)
        shutil.rmtree(before, ignore_errors=True)
        if folder.exists():
            folder.rename(before)
        partial.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
        _bring_to_disk(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a text, in UTF-8, or bytes so that nobody ever sees a part of them.

    Raises:
        OSError: if they can't be written; what was there stays.
    """
    with written(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_table(
    path: str | Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write a CSV table with a row for each mapping of column to value, whole or not at all; None is empty.

    Args:
        path: of the file; its folder exists.
        columns: in their order.
        rows: with these keys and no other.

    Raises:
        OSError: if it can't be written.
    """
    with written(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def write_manifest(folder: str | Path, names: Iterable[str]) -> None:
    """List files of a folder in its manifest.json, with their size and checksum, once all are in place."""
    files = {}
    for name in names:
        with (Path(folder) / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = {"bytes": (Path(folder) / name).stat().st_size, "sha256": digest}
    write_whole(Path(folder) / MANIFEST, json.dumps({"files": files}, indent=2) + "\n")


def check_listed(path: str | Path) -> None:
    """Compare a file with what the manifest of its folder says of it, if there is one that lists it.

    Raises:
        ValueError: if it is another file.
    """
    path = Path(path)
    said = listed(path.parent).get(path.name)
    if said is None:
        return
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != said:
            raise ValueError(
                f"{path} is not the file that {MANIFEST} beside it lists: one of them was changed or copied "
                f"from elsewhere. Make them again, or delete {MANIFEST} to take the file as it is."
            )


def listed(folder: str | Path) -> dict[str, str]:
    """Files of a folder that its manifest lists, with their checksums; none where there is no manifest.

    Names that lead out of the folder are left out.

    Raises:
        ValueError: if the manifest is damaged.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"].items()
        return {name: about["sha256"] for name, about in files if Path(name).name == name}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Delete it.") from error


def _flush(path: Path) -> None:
    """Bring a file to the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _bring_to_disk(folder: Path) -> None:
    """The new name of a file is on the disk once its folder is."""
    with suppress(OSError):  # file systems that open no folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
