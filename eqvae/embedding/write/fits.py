"""embedding.fits: a binary table for astronomers, with units.

Columns of degrees have the unit deg, those of pixels pix. Numbers that are empty are NaN or the column's
TNULL, empty words are blank; columns that are empty in every row are left out. FITS knows ASCII only: other
letters are written as Python escapes them, such as \\xf6.
"""

from pathlib import Path

import numpy as np

from eqvae.embedding.table import Embedding
from eqvae.embedding.write.filled import Filled, filled
from eqvae.embedding.write.format import Origin, TableFormat, whole
from eqvae.files import written

_UNITS = {"_degrees": "deg", "_pixels": "pix"}
_EMPTY = -(2**31)  # TNULL


class Fits(TableFormat):
    """A FITS binary table."""

    name, file = "fits", "embedding.fits"
    library, extra = "astropy", "fits"

    def check(self, origin: Origin) -> None:
        """Every source will do."""

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        from astropy.io import fits

        columns = [fits.Column(**_column(one)) for one in filled(whole(embedding), content=True)]
        unit = fits.BinTableHDU.from_columns(columns, name="EMBEDDING")
        with written(path) as partial, partial.open("wb") as file:
            fits.HDUList([fits.PrimaryHDU(), unit]).writeto(file)


def _column(column: Filled) -> dict:
    """Arguments of a column of astropy."""
    values, kind = column.values, column.kind
    how = {"name": column.name}
    unit = next((u for end, u in _UNITS.items() if column.name.endswith(end)), None)
    if unit is not None:
        how["unit"] = unit
    if kind == "U":
        words = [str(word).encode("ascii", "backslashreplace") for word in values]
        width = max(1, max(map(len, words)))
        return how | {"format": f"{width}A", "array": np.array(words, dtype=f"S{width}")}
    if kind == "i" and column.empty.any():
        how["null"] = _EMPTY
        values = np.where(column.empty, _EMPTY, values)
    if kind == "b" and column.empty.any():  # a third value, so no logical column
        values, kind = np.where(column.empty, _EMPTY, values.astype(np.int64)), "i"
        how["null"] = _EMPTY
    formats = {"f": "E" if values.dtype.itemsize == 4 else "D", "i": "K", "b": "L"}
    return how | {"format": formats[kind], "array": values}
