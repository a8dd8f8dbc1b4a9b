"""The page of claims: each as it is told, what it means, its picture, its numbers and its command."""

from collections.abc import Sequence

from eqvae.claims.claim import VERDICTS, Claim
from eqvae.claims.measure import Row

INTRODUCTION = """\
# Equivariance, measured

A map *f* is equivariant when it does not matter whether its input is moved before it or its output behind
it: *f(g x) = g f(x)* for every motion *g* of a group. Much is said about what keeps that law and what
breaks it. Below, each saying stands beside an experiment: a part that should obey it, a control that must
fail (else the experiment would say nothing), and a verdict that follows from the numbers alone. Some
sayings hold only with a condition, and some are told wrongly: those are the ones to learn from.

Errors are relative, *|f(g x) - g f(x)| / |g f(x)|*: 0 is perfect, 1e-15 is what rounding leaves, about 1.4
is what two unrelated results differ by. The floor is what the test itself costs, such as one resampling of
an image; the ceiling is what no symmetry at all would give. Take a layer apart yourself in [the
notebook](../notebooks/03_equivariance_by_experiment.ipynb); measure everything anew, or one row, with

```bash
python scripts/lens.py                 # every row, minutes
python scripts/lens.py rows=[{first}]
```
"""


def page(rows: Sequence[Row], pictures: Sequence[str], left_out: Sequence[Claim] = ()) -> str:
    """The page in Markdown.

    Args:
        rows: in the order of the page.
        pictures: names of the pictures there are, in the folder `equivariance` beside the page.
        left_out: what was never measured, for want of what it needs.
    """
    parts = [INTRODUCTION.replace("{first}", rows[0].id), _overview(rows)]
    if left_out:
        parts.append(f"{told_left_out(left_out)}\n")
    subjects = list(dict.fromkeys(row.subject for row in rows))
    for subject in subjects:
        parts.append(f"## {subject[0].upper()}{subject[1:]}\n")
        parts += [_section(row, pictures) for row in rows if row.subject == subject]
    return "\n".join(parts).rstrip() + "\n"


def told_left_out(claims: Sequence[Claim]) -> str:
    """One sentence about claims that can't be measured here."""
    by_need = {}
    for claim in claims:
        by_need.setdefault(claim.missing, []).append(claim.id)
    told = [f"{', '.join(ids)} for want of {need}" for need, ids in by_need.items()]
    return f"Left out: {'; '.join(told)}."


def number(value: float | None) -> str:
    """A number as the page shows it."""
    if value is None:
        return "-"
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:.1e}"


def _overview(rows: Sequence[Row]) -> str:
    """How many of each verdict, and a table of all."""
    counts = [(verdict, sum(row.verdict == verdict for row in rows)) for verdict in VERDICTS]
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    lines = [
        f"{len(rows)} claims: {told}.\n",
        "| row | claim | measured | control | verdict |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.id} | {row.title} | {number(row.value)} | {number(row.control)} | {row.verdict} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _section(row: Row, pictures: Sequence[str]) -> str:
    spread = f" ± {number(row.spread)}" if row.spread else ""
    numbers = [f"**{number(row.value)}**{spread} ({row.unit})"]
    numbers += [
        f"{name} {number(value)}"
        for name, value in (
            ("control", row.control),
            ("floor", row.floor),
            ("ceiling", row.ceiling),
        )
        if value is not None
    ]
    others = "; ".join(f"{name} {number(value)}" for name, value in row.others.items())
    verdict = f"**{row.verdict}**" + (f": {row.condition}" if "condition" in row.verdict else "")
    lines = [f"### {row.id}. {row.title}\n", f"> {row.claim}\n", f"{row.found}\n"]
    if row.file in pictures:
        lines.append(f"![{row.title}](equivariance/{row.file})\n")
    lines.append(f"{', '.join(numbers)}. {others + '. ' if others else ''}Verdict: {verdict}.\n")
    lines.append(f"`{row.command}`\n")
    return "\n".join(lines)
