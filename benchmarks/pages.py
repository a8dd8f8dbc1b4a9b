"""Write the page and the figures of every comparison whose table is kept in benchmarks/results.

Usage: python benchmarks/pages.py [FOLDER]

A page lies beside its table, in a folder of its name: benchmarks/results/atlas_laptop/atlas.html.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pages of all tables below a folder."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return
    from eqvae.comparison.advice import validate
    from eqvae.comparison.report import write_page
    from eqvae.comparison.table import read_table

    for table in sorted(Path(arguments[0] if arguments else RESULTS).rglob("atlas_*.parquet")):
        rows = read_table(table)
        title = f"Hard or soft: {table.stem}"
        print(write_page(rows, table.with_suffix(""), title, chooser=validate(rows)))


if __name__ == "__main__":
    main()
