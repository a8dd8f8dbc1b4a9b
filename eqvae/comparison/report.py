"""The page of a comparison: `atlas.html` with every table and figure inside, PNGs and `atlas.json`.

The page needs no network, no scripts and no other file. It takes a table as far as it has come: what no
cell has measured is left out, and cells that diverged or failed are listed.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from eqvae.comparison import charts, summary
from eqvae.comparison.advice import Validation
from eqvae.comparison.sentences import sentences
from eqvae.comparison.summary import Row, Spread
from eqvae.evaluation.evaluate import save_figure
from eqvae.evaluation.report import number, picture

COLUMNS = {  # measure: (heading, factor)
    "elbo": ("ELBO \u2191 (nats)", 1),
    "free_energy": ("free energy \u2193 (nats)", 1),
    "iwae": ("IWAE \u2191 (nats)", 1),
    "squared_error": ("squared error \u2193", 1),
    "kl": ("KL (nats)", 1),
    "encoder_error": ("encoder error \u2193", 1),
    "encoder_shift_error": ("encoder error, shift \u2193", 1),
    "decoder_error": ("decoder error \u2193", 1),
    "pose_degrees": ("pose \u2193 (\u00b0)", 1),
    "shift_px": ("shift \u2193 (px)", 1),
    "leak_r2": ("leak R\u00b2 \u2193", 1),
    "clustering": ("clustering \u2191", 1),
    "dial": ("residual", 1),
    "seconds": ("training, processor (s)", 1),
    "wall_seconds": ("wall (s)", 1),
    "macs": ("MACs (M)", 1e-6),
    "parameters": ("parameters (k)", 1e-3),
}
BLOCKS = {
    "levels": "Levels at the main budget",
    "budgets": "Training images",
    "arms": "Every arm",
    "weights": "Weights of the soft penalties",
    "macs": "Matched MACs",
}


@dataclass(frozen=True)
class Table:
    """Arms (and weights) of one block, level, budget and match; `best` is the arm clear of the next."""

    title: str
    block: str
    columns: list[str]
    groups: list[dict[str, Any]]
    best: str | None


def write_atlas(
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
    drawn = draw(rows)
    for name, (_, figure) in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    first = summary.headline(rows, chooser)
    text = json.dumps(first, indent=2, allow_nan=False) + "\n"
    (folder / "atlas.json").write_text(text, encoding="utf-8")
    page = folder / "atlas.html"
    page.write_text(render(rows, title, about or {}, first, drawn), encoding="utf-8")
    return page


def render(
    rows: Sequence[Row],
    title: str,
    about: Mapping[str, Any],
    first: Mapping[str, Any] | None = None,
    drawn: Mapping[str, tuple[str, Figure]] | None = None,
) -> str:
    """The page as text; headline and figures are made if they are not given."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "picture": picture, "spread": plus_minus}
    found = tables(rows)
    return environment.get_template("atlas.html.j2").render(
        title=title,
        about=about,
        first=first if first is not None else summary.headline(rows),
        told=sentences(rows),
        figures=drawn if drawn is not None else draw(rows),
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
    levels = summary.levels(rows)
    first = levels[:1]
    with_budgets = summary.levels(rows, "budgets")
    with_weights = summary.levels(rows, "weights") or first
    priced = list(dict.fromkeys([*first, *summary.levels(rows, "macs")]))
    wanted: dict[str, tuple[str, Callable[[], Figure | None]]] = {
        "gaps": ("Free energy behind the best arm", lambda: charts.gap_figure(rows)),
        "ranks": (
            "Mean ranks, bars: 95 % bootstrap over levels",
            lambda: charts.rank_figure(summary.ranks(rows)),
        ),
        "pose": ("Pose errors", lambda: charts.pose_figure(rows)),
    }
    for level in with_budgets:
        wanted[f"data_{level}"] = (
            f"Free energy against training images at {level}, bands: \u00b11 sd over seeds",
            lambda level=level: charts.data_figure(rows, level),
        )
    for level in priced:
        for cost in ("seconds", "macs"):
            wanted[f"cost_{cost}_{level}"] = (
                f"Free energy against {charts.LABELS[cost]} at {level}, bars: \u00b11 sd",
                lambda level=level, cost=cost: charts.cost_figure(rows, level, cost),
            )
    for level in with_weights:
        wanted[f"tradeoff_{level}"] = (
            f"Free energy against encoder error at {level}; lines run over the soft weights",
            lambda level=level: charts.tradeoff_figure(rows, level),
        )
        wanted[f"weights_{level}"] = (
            f"Equivariance errors against the soft weights at {level}, bars: \u00b11 sd",
            lambda level=level: charts.weight_figure(rows, level),
        )
    made = {name: (caption, make()) for name, (caption, make) in wanted.items()}
    return {_file_name(name): pair for name, pair in made.items() if pair[1] is not None}


def tables(rows: Iterable[Row]) -> list[Table]:
    """One table per block, level, budget and match, arms in their usual order."""
    rows = list(rows)
    together: dict[tuple, list[dict[str, Any]]] = {}
    for group in summary.groups(rows):
        key = tuple(group[name] for name in ("block", "level", "images", "match"))
        together.setdefault(key, []).append(group)
    blocks = summary.in_order((key[0] for key in together), list(BLOCKS))
    known = summary.in_order((key[1] for key in together), summary.LEVELS)

    def place(key: tuple) -> tuple:
        return blocks.index(key[0]), known.index(key[1]), key[2] or 0, str(key[3])

    found = []
    for key in sorted(together, key=place):
        block, level, images, match = key
        arms = summary.in_order((g["arm"] for g in together[key]), summary.ARMS)
        groups = sorted(together[key], key=lambda g: (arms.index(g["arm"]), g["weight"]))
        columns = [c for c in COLUMNS if any(g[c] is not None for g in groups)]
        size = f"{images:,} images" if images is not None else "images not known"
        matched = "nothing matched" if match == "none" else f"{match} matched"
        best = _clear(rows, groups, key) if block != "weights" else None
        found.append(Table(f"{level}, {size}, {matched}", block, columns, groups, best))
    return found


def match_table(rows: Iterable[Row]) -> list[tuple[str, str, list[str], list[tuple[str, list]]]]:
    """(column, reference, levels, [(arm, per cent off at each level)]) for parameters and MACs."""
    rows, found = list(rows), []
    for column in ("parameters", "macs"):
        off = summary.match_percent(rows, column)
        levels = summary.in_order((level for level, _ in off), summary.LEVELS)
        arms = summary.in_order((arm for _, arm in off), summary.ARMS)
        if off:
            lines = [(arm, [off.get((level, arm)) for level in levels]) for arm in arms]
            found.append((column, summary.REFERENCE, levels, lines))
    return found


def plus_minus(spread: Spread | None, factor: float = 1) -> str:
    """Mean +- std, the mean to as many digits as the std has meaning."""
    if spread is None:
        return "\u2013"
    mean, std = spread.mean * factor, (spread.std or 0.0) * factor
    if spread.std is None or std < 1e-9 or 0 < abs(mean) < 1e-3:
        return number(mean) + (f" \u00b1 {number(std)}" if spread.std is not None else "")
    digits = min(max(0, 1 - math.floor(math.log10(std))), 4)
    return f"{mean:,.{digits}f} \u00b1 {std:,.{digits}f}".replace("-", "\u2212")


def _clear(rows: Sequence[Row], groups: Sequence[Mapping[str, Any]], key: tuple) -> str | None:
    """The arm with the lowest free energy, if its paired interval against the next one excludes 0."""
    block, level, images, match = key
    known = [g for g in groups if g["free_energy"] is not None]
    if len(known) < 2:
        return None
    best, second = sorted(known, key=lambda g: g["free_energy"].mean)[:2]
    where = {"level": level, "images": images, "match": match}
    pair = summary.paired(rows, best["arm"], second["arm"], blocks=(block,), **where)
    return best["arm"] if pair is not None and pair.separable else None


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
