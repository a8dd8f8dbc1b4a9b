"""Which rows of a comparison count, and which belong together; learning-rate trials never do."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from eqvae.comparison.summary.rows import (
    COSTS,
    GROUP,
    MEASURES,
    REFERENCE,
    Row,
    field_of,
    is_finished,
    spread,
    value,
)


def results(rows: Iterable[Row]) -> list[Row]:
    """Rows that count: no tuning, and the last row where a cell and seed was run again."""
    found = {}
    for row in rows:
        if row.get("block") != "tuning":
            found[tuple(field_of(row, name) for name in (*GROUP, "seed"))] = row
    return list(found.values())


def select(
    rows: Iterable[Row],
    blocks: Sequence[str] = ("scenarios",),
    *,
    finished: bool = True,
    **where: Any,
) -> list[Row]:
    """Rows of the first of `blocks` that holds them, one a cell and seed.

    Args:
        rows: of the comparison.
        blocks: in order of preference; a later one fills what an earlier one lacks.
        finished: only those.
        where: column=value. With match="macs" the reference arm's parameter-matched rows stand in where
            it has none of its own, since both matches are to that arm.
    """
    rows = list(rows)
    found: dict[tuple, Row] = {}
    for block in reversed(blocks):
        for row in results(r for r in rows if r.get("block") == block):
            if all(field_of(row, name) == wanted for name, wanted in where.items()):
                found[tuple(field_of(row, name) for name in (*GROUP[1:], "seed"))] = row
    if where.get("match") == "macs" and all(r.get("arm") != REFERENCE for r in found.values()):
        if where.get("arm", REFERENCE) == REFERENCE:
            own = select(
                rows,
                ("macs", "scenarios"),
                finished=finished,
                **where | {"arm": REFERENCE, "match": "parameters"},
            )
            return [*(r for r in found.values() if not finished or is_finished(r)), *own]
    return [row for row in found.values() if not finished or is_finished(row)]


def groups(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One dict per (block, arm, scenario, images, match, weight): seeds, statuses, a Spread per measure."""
    together: dict[tuple, list[Row]] = {}
    for row in results(rows):
        together.setdefault(tuple(field_of(row, name) for name in GROUP), []).append(row)
    found = []
    for key, members in together.items():
        done = [row for row in members if is_finished(row)]
        count = Counter(row.get("status") for row in members)
        found.append(
            dict(zip(GROUP, key, strict=True))
            | {"seeds": len(done), "diverged": count["diverged"], "failed": count["failed"]}
            | {name: spread(value(row, name) for row in done) for name in MEASURES + COSTS}
        )
    return found
