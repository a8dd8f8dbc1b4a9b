"""embedding.parquet: what every other step reads, types and empty cells included."""

from pathlib import Path

from eqvae.embedding.files import PARQUET, write_parquet
from eqvae.embedding.table import Embedding, row_batches
from eqvae.embedding.write.format import Origin, TableFormat


class Parquet(TableFormat):
    """Apache Parquet, for pandas, polars, R and databases."""

    name, file = "parquet", PARQUET

    def check(self, origin: Origin) -> None:
        """Every source will do."""

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        write_parquet(row_batches(embedding, 5_000), path)
