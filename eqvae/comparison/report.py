"""The page of a comparison: `atlas.html` with every table and figure inside, PNGs and `atlas.json`.

The page needs no network, no scripts and no other file. It takes a table as far as it has come: what no
cell has measured is left out, and cells that diverged or failed are listed.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from eqvae.comparison import charts, summary
from eqvae.comparison.advice import Validation
from eqvae.comparison.arms import arms
from eqvae.comparison.sentences import sentences
from eqvae.comparison.summary import Row
from eqvae.comparison.tables import BLOCKS, COLUMNS, match_table, plus_minus, tables
from eqvae.drawing.png import png
from eqvae.evaluation.report import number
from eqvae.files import write_whole


def write_page(
    rows: Iterable[Row],
    folder: str | Path,
    title: str = "The hard/soft atlas",
    about: Mapping[str, Any] | None = None,
    chooser: Validation | None = None,
) -> Path:
    """Write atlas.html, its figures as PNG and atlas.json (the headline) into a folder.

    Args:
        rows: dicts, one a cell and seed, or a pyarrow Table of them; finished or not.
        folder: made if it is not there.
        title: of the page.
        about: what the reader should know of the runs, e.g. {"machine": ..., "data": ...}.
        chooser: how it does on these cells, see `eqvae.comparison.advice.validate`.

    Returns:
        The path of the page.
    """
    rows = rows.to_pylist() if hasattr(rows, "to_pylist") else list(rows)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: (caption, png(figure)) for name, (caption, figure) in draw(rows).items()}
    for name, (_, image) in pictures.items():
        write_whole(folder / f"{name}.png", image)
    first = summary.headline(rows, chooser)
    text = json.dumps(first, indent=2, allow_nan=False) + "\n"
    write_whole(folder / "atlas.json", text)
    page = folder / "atlas.html"
    write_whole(page, render(rows, title, about or {}, first, pictures))
    return page


def render(
    rows: Sequence[Row],
    title: str,
    about: Mapping[str, Any],
    first: Mapping[str, Any] | None = None,
    pictures: Mapping[str, tuple[str, bytes]] | None = None,
) -> str:
    """The page as text.

    Args:
        rows, title, about: as for `write_page`.
        first: the headline; made if it is not given.
        pictures: {file name: (caption, PNG)} of its figures; none if they are not given.
    """
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "picture": _data_uri, "spread": plus_minus}
    found = tables(rows)
    return environment.get_template("atlas.html.j2").render(
        title=title,
        about=about,
        first=first if first is not None else summary.headline(rows),
        told=sentences(rows),
        arms=[arm for arm in arms().values() if any(row.get("arm") == arm.name for row in rows)],
        figures=pictures or {},
        blocks=[
            (block, BLOCKS.get(block, block), [t for t in found if t.block == block])
            for block in dict.fromkeys(t.block for t in found)
        ],
        columns=COLUMNS,
        matches=match_table(rows),
        lost=[r for r in summary.results(rows) if r.get("status") in ("diverged", "failed")],
    )


def draw(rows: Sequence[Row]) -> dict[str, tuple[str, Figure]]:
    """{file name: (caption, figure)} of every figure that the rows allow."""
    first = summary.scenarios(rows)[:1]
    made = {
        "gaps": ("Free energy behind the best arm", charts.gap_figure(rows)),
        "ranks": (
            "Mean ranks, bars: 95 % bootstrap over scenarios",
            charts.rank_figure(summary.ranks(rows)),
        ),
        "pose": ("Pose errors", charts.pose_figure(rows)),
    }
    for scenario in summary.scenarios(rows, "budgets"):
        made[f"data_{scenario}"] = (
            f"Free energy against training images at {scenario}, bands: \u00b11 sd over seeds",
            charts.data_figure(rows, scenario),
        )
    for scenario in dict.fromkeys([*first, *summary.scenarios(rows, "macs")]):
        for cost in ("seconds", "macs"):
            made[f"cost_{cost}_{scenario}"] = (
                f"Free energy against {charts.LABELS[cost]} at {scenario}, bars: \u00b11 sd",
                charts.cost_figure(rows, scenario, cost),
            )
    for scenario in summary.scenarios(rows, "weights") or first:
        made[f"tradeoff_{scenario}"] = (
            f"Free energy against encoder error at {scenario}; lines run over the soft weights",
            charts.tradeoff_figure(rows, scenario),
        )
        made[f"weights_{scenario}"] = (
            f"Equivariance errors against the soft weights at {scenario}, bars: \u00b11 sd",
            charts.weight_figure(rows, scenario),
        )
    return {_file_name(name): pair for name, pair in made.items() if pair[1] is not None}


def _data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
