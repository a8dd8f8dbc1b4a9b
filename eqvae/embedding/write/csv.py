"""embedding.csv: the same as the Parquet file in text."""

from pathlib import Path

from eqvae.embedding.files import CSV, write_csv
from eqvae.embedding.table import Embedding, row_batches
from eqvae.embedding.write.format import Origin, TableFormat


class Csv(TableFormat):
    """Comma-separated text, a head and a line for each image."""

    name, file = "csv", CSV

    def check(self, origin: Origin) -> None:
        """Every source will do."""

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        write_csv(row_batches(embedding, 5_000), path)
