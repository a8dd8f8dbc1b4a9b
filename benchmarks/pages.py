"""Write the pages and the figures of every result that is kept in benchmarks/results.

Usage: python benchmarks/pages.py [FOLDER]

A page of a comparison lies beside its table, in a folder of its name: atlas_laptop/atlas.html.
The tables of the other benchmarks lie beside their JSON: foundation.md, metrics.md, pose_content.md and .png.
"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TABLES = {  # by name of the results the file whose `table` tells them
    "foundation": "foundation.py",
    "metrics": "metrics.py",
    "pose_content": "pose_content/report.py",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pages of all results below a folder."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return
    folder = Path(arguments[0] if arguments else RESULTS)
    write_tables(folder)
    write_comparisons(folder)


def write_tables(folder: Path) -> None:
    for name, file in TABLES.items():
        results = folder / f"{name}.json"
        if not results.is_file():
            continue
        benchmark = module_of(HERE / file)
        report = json.loads(results.read_text())
        page = results.with_suffix(".md")
        page.write_text(benchmark.table(report))
        print(page)
        if hasattr(benchmark, "figure"):
            benchmark.figure(report, results.with_suffix(".png"))


def write_comparisons(folder: Path) -> None:
    from eqvae.comparison.advice import validate
    from eqvae.comparison.report import write_page
    from eqvae.comparison.table import read_table

    for table in sorted(folder.rglob("atlas_*.parquet")):
        rows = read_table(table)
        title = f"Hard or soft: {table.stem}"
        print(write_page(rows, table.with_suffix(""), title, chooser=validate(rows)))


def module_of(file: Path) -> ModuleType:
    """A benchmark, imported from its file: they are scripts, no package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
