"""Formats that a page can't write itself: its table, and the command that takes rows of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqvae.data.sources.cs import Cs
from eqvae.embedding.files import write_files
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import FORMATS, Origin

WRITTEN = ("cs", "h5ad", "fits")
FOLDER = "table"


@dataclass(frozen=True)
class Subsets:
    """What takes some rows of a page's table.

    Attributes:
        command: the words that call it.
        about: what the rows are of, a plain configuration with `data` and `image`.
    """

    command: str
    about: Mapping[str, Any]


def write_elsewhere(
    embedding: Embedding, origin: Origin, subsets: Subsets, part: Path, folder: Path
) -> dict[str, Any]:
    """Write the table; returns what the page says of it.

    Where the images came from is written beside particles of a .cs file alone: the others' formats do not
    ask, and a page that is given away should not tell.

    Args:
        embedding: of the page's images.
        origin: of them.
        subsets: what takes rows of it.
        part: the folder of the page while it is made.
        folder: where the page will be.
    """
    (part / FOLDER).mkdir()
    of_cs = isinstance(origin.source, Cs)
    about = dict(subsets.about) if of_cs else None
    write_files(iter(embedding.table.to_batches()), part / FOLDER, csv=False, about=about)
    words = [word for word in WRITTEN if word != "cs" or of_cs]
    files = [{"name": word, "file": FORMATS[word].file} for word in words]
    return {"command": subsets.command, "folder": str(folder.resolve() / FOLDER), "files": files}
