"""What a format of tables is: a name, a file, what it needs, and how an embedding becomes that file."""

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from eqvae.data.images import ImageSource
from eqvae.data.posing import Posing
from eqvae.embedding.table import Embedding


@dataclass(frozen=True)
class Origin:
    """Where the images of an embedding came from.

    Attributes:
        source: of the images, None where nobody knows.
        posing: how they were posed.
        size: side of the source's images, pixels; None where they are no squares.
        shown: side of the posed images, which positions are of; larger where they were padded.
        canvas: side of the images between, larger or smaller where they were resampled; None for `size`.
    """

    source: ImageSource | None
    posing: Posing | None
    size: int | None
    shown: int
    canvas: int | None = None


class TableFormat(ABC):
    """A file that says what an embedding says.

    Attributes:
        name: the word behind write=.
        file: name of the file.
        library: package that writes it, None for none beside eqvae's own.
        extra: of eqvae that brings it.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    library: ClassVar[str | None] = None
    extra: ClassVar[str | None] = None

    @abstractmethod
    def check(self, origin: Origin) -> None:
        """Refuse images that the format can't speak of, before any work is done.

        Raises:
            ValueError: if it can't.
        """

    @abstractmethod
    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        """Write the file, whole or not at all.

        Args:
            embedding: in memory, or the folder or Parquet file that holds it.
            origin: of its images.
            path: of the file.

        Raises:
            ValueError: if the embedding lacks what the format is about.
            OSError: if the file can't be written.
        """


def check_library(form: TableFormat) -> None:
    """Refuse a format whose package is not installed.

    Raises:
        ImportError: if it is not.
    """
    if form.library is not None and importlib.util.find_spec(form.library) is None:
        raise ImportError(
            f'write={form.name} needs {form.library}: pip install "eqvae[{form.extra}]".'
        )


def whole(embedding: Embedding | Path) -> Embedding:
    """An embedding in memory."""
    return embedding if isinstance(embedding, Embedding) else Embedding.read(embedding)
