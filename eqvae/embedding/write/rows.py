"""rows.txt: which images these are, a line for each, for tools that take a list."""

from pathlib import Path

from eqvae.embedding.table import Embedding
from eqvae.embedding.write.format import Origin, TableFormat, whole
from eqvae.files import written


class Rows(TableFormat):
    """Names of the images' files; where they have none, the numbers of their rows, from 0."""

    name, file = "list", "rows.txt"

    def check(self, origin: Origin) -> None:
        """Every source will do."""

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        table = whole(embedding)
        column = "index" if table.table.column("name").null_count else "name"
        with written(path) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(f"{entry}\n" for entry in table.column(column))
