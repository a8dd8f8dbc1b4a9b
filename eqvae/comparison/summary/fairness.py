"""How closely the sizes of the arms are matched."""

from collections.abc import Iterable

from eqvae.comparison.summary.choose import results
from eqvae.comparison.summary.rows import REFERENCE, Row, value


def match_percent(rows: Iterable[Row], column: str) -> dict[tuple[str, str], float]:
    """{(scenario, arm): 100 (x - x_hard) / x_hard} of the rows matched by `column`, farthest of its cells.

    Args:
        rows: of the comparison; diverged cells count too, they were built all the same.
        column: "parameters" or "macs".
    """
    rows = results(rows)
    reference = {}  # the reference arm's own matched rows before its others
    for wanted in (True, False):
        for row in rows:
            if row.get("arm") == REFERENCE and (row.get("match") == column) == wanted:
                if value(row, column):
                    reference.setdefault(row.get("scenario"), value(row, column))
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        scenario, arm, size = row.get("scenario"), row.get("arm"), value(row, column)
        if row.get("match") == column and arm != REFERENCE and size and scenario in reference:
            off = 100 * (size - reference[scenario]) / reference[scenario]
            found[scenario, arm] = max(found.get((scenario, arm), 0.0), off, key=abs)
    return found
