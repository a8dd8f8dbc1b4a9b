"""`eqvae lens`: measure every claim about equivariance, and write the numbers and the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import arguments_or_help, one_sentence_errors, printer, stopped_by_ctrl_c
from eqvae.cli.options import Option, sorted_options, unbracketed
from eqvae.files import write_whole
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.claims.claim import Claim
    from eqvae.claims.measure import Row

USAGE = """\
Measure claims about equivariance: each with a part that obeys, a control that must fail, and a verdict.

Usage: {lens} [KEY=VALUE ...]

  rows=[16,17]                   some claims, by their ids; default: all, minutes on two cores
  seeds=3                        of each; claims that train a model take one
  out=FOLDER                     where lens.json and equivariance.md go; default: benchmarks/results and docs
                                 of a checkout, else lens

Rows that are not measured now keep the numbers that they have there. Rows that need an extra which is not
installed are left out, with a sentence that says which extra."""
OWN = {
    "rows": Option("all"),
    "seeds": Option("3", least=1),
    "out": Option(),
}
CHECKOUT = (Path("benchmarks/results"), Path("docs"))  # of the results, of the page


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE, alone=True)
    if arguments is None:
        return
    with (
        stopped_by_ctrl_c("rows that were measured are kept; the same command goes on"),
        one_sentence_errors(),
    ):
        _run(_options(arguments))


def _options(arguments: Sequence[str]) -> dict[str, Any]:
    given = sorted_options(arguments, OWN, paths=("out",))
    return {key: option.read(key, given.get(key, option.default)) for key, option in OWN.items()}


def _run(options: Mapping[str, Any]) -> None:
    from eqvae.claims.claim import all_claims
    from eqvae.claims.measure import measured_row
    from eqvae.claims.page import told_left_out
    from eqvae.drawing.png import save_figure

    claims = all_claims()
    left_out = [claim for claim in claims.values() if claim.missing]
    chosen = _chosen(options["rows"], claims)
    places = CHECKOUT if all(p.is_dir() for p in CHECKOUT) else (Path("lens"), Path("lens"))
    results, pages = (Path(options["out"]),) * 2 if options["out"] else places
    pictures = pages / "equivariance"
    pictures.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    console, seeds = printer(), range(options["seeds"])
    for claim in watched(chosen, "claims"):
        row, figure = measured_row(claim, seeds)
        if figure is not None:
            save_figure(figure, pictures / row.file)
        _keep(row, claims, results / "lens.json", pages / "equivariance.md")
        console.print(f"{row.id:<6} {row.verdict:<23} {row.value:.2g}  {row.title}")
    if left_out and options["rows"] == "all":
        console.print(told_left_out(left_out))
    console.print(f"{results / 'lens.json'}, {pages / 'equivariance.md'}")


def _chosen(rows: str, claims: Mapping[str, "Claim"]) -> list["Claim"]:
    if rows == "all":
        return [claim for claim in claims.values() if not claim.missing]
    asked = [part.strip() for part in unbracketed(rows).split(",")]
    unknown = [part for part in asked if part not in claims]
    if unknown:
        raise ValueError(f"rows must be ids out of {', '.join(claims)}; got {unknown[0]!r}.")
    for id in asked:
        if claims[id].missing:
            raise ValueError(f"rows: {id} needs {claims[id].missing}.")
    return [claims[id] for id in dict.fromkeys(asked)]


def _keep(row: "Row", claims: Mapping[str, "Claim"], results: Path, page: Path) -> None:
    """Put a row among those that are there already, and write the page of all."""
    from eqvae.claims.measure import Row
    from eqvae.claims.page import page as page_of
    from eqvae.claims.targets import targets

    rows = {}
    if results.is_file():
        kept = [Row(**stored) for stored in json.loads(results.read_text())["rows"]]
        rows = {one.id: one.retold(claims[one.id]) for one in kept if one.id in claims}
    rows[row.id] = row
    ordered = [rows[id] for id in claims if id in rows]
    dicts = {one.id: one.as_dict() for one in ordered}
    beside = results.with_name("scale.json")
    scale = json.loads(beside.read_text()) if beside.is_file() else None
    found = {"rows": list(dicts.values()), "targets": targets(dicts, scale)}
    write_whole(results, json.dumps(found, indent=1) + "\n")
    drawn = [path.name for path in (page.parent / "equivariance").glob("*.png")]
    never = [one for id, one in claims.items() if one.missing and id not in rows]
    write_whole(page, page_of(ordered, drawn, never))
