"""Embeddings in the formats of each field's tools: a file here for each, found by the word behind write=."""

from collections.abc import Iterable

from eqvae.embedding.write.cs import CryosparcCs
from eqvae.embedding.write.csv import Csv
from eqvae.embedding.write.fits import Fits
from eqvae.embedding.write.format import Origin, TableFormat, check_library
from eqvae.embedding.write.h5ad import H5ad
from eqvae.embedding.write.parquet import Parquet
from eqvae.embedding.write.rows import Rows
from eqvae.embedding.write.star import RelionStar

__all__ = ["FORMATS", "Origin", "TableFormat", "checked_formats"]

FORMATS: dict[str, TableFormat] = {
    form.name: form
    for form in (Parquet(), Csv(), RelionStar(), CryosparcCs(), H5ad(), Fits(), Rows())
}


def checked_formats(names: Iterable[str], origin: Origin) -> list[TableFormat]:
    """The formats of these names, refused before any work if one can't be written.

    Raises:
        ImportError: if one needs a package that is not installed.
        ValueError: if one does not fit where the images came from.
    """
    chosen = [FORMATS[name] for name in names]
    for form in chosen:
        form.check(origin)
        check_library(form)
    return chosen
