"""Text files of structures, packed or not, as lines."""

import gzip
import zlib
from pathlib import Path

from eqvae.data.room import check_room
from eqvae.files import user_path


def suffix_of(path: str | Path) -> str:
    """The ending that says the format, small letters, without .gz."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def lines_of(path: Path) -> list[str]:
    """The lines of a text file, unpacked if its name ends in .gz.

    Raises:
        ValueError: if it is no text, damaged, or larger than memory.
    """
    check_room((6 if path.name.lower().endswith(".gz") else 2) * path.stat().st_size, f"{path}")
    try:
        raw = path.read_bytes()
        packed = path.name.lower().endswith(".gz")
        text = (gzip.decompress(raw) if packed else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} can't be unpacked ({error}). Fetch or pack it anew.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text. Give a file of that format.") from error
    return text.splitlines()


def existing(path: str | Path, what: str) -> Path:
    """The path of a file that is there.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is a folder.
    """
    found = user_path(path)
    if found.is_dir():
        raise ValueError(f"{what} must be a file; {str(path)!r} is a folder. Name a file in it.")
    if not found.is_file():
        raise FileNotFoundError(f"{what} must be a file; there is none at {str(path)!r}.")
    return found
