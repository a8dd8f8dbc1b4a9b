"""Files that a page can write of some images alone: their text as eqvae writes it, and the line of each row.

What is downloaded is the text without the lines of the images that were not chosen.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqvae.data.formats.star import StarFile
from eqvae.data.sources.star import ParticleTable, Star
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import FORMATS, Origin

WRITTEN = ("list", "csv", "star")


@dataclass(frozen=True)
class Lines:
    """A file of all images.

    Attributes:
        name: the word behind write=.
        file: its name.
        text: of the whole file.
        rows: for each image the number of its line, from 0.
    """

    name: str
    file: str
    text: str
    rows: list[int]


def files_of(embedding: Embedding, origin: Origin) -> tuple[list[Lines], list[str]]:
    """The files that can be written of these images, and sentences that say why another can't.

    Images that do not come from a STAR file have none, and nothing is said of it.
    """
    found, said = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in WRITTEN:
            path = Path(folder) / FORMATS[name].file
            if name == "star" and not isinstance(origin.source, Star):
                continue
            try:
                FORMATS[name].check(origin)
                FORMATS[name].write(embedding, origin, path)
                text = path.read_text(encoding="utf-8")
                found.append(Lines(name, path.name, text, _rows(name, path, text, embedding)))
            except ValueError as error:
                said.append(f"no {path.name} from the page: {error}")
    return found, said


def _rows(name: str, path: Path, text: str, embedding: Embedding) -> list[int]:
    """The line of each row."""
    if name != "star":
        first, count = int(name == "csv"), text.count("\n")
        if count != first + len(embedding):
            raise ValueError(
                f"a name holds a line break, which no {path.name} can: rename the file."
            )
        return list(range(first, count))
    table = ParticleTable(StarFile.read(path), path).table
    order = np.argsort(embedding.column("index"), kind="stable")
    lines = np.empty(len(embedding), dtype=int)
    lines[order] = table.rows
    return lines.tolist()
