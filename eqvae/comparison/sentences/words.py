"""How a difference of two arms is put into words.

"a +- b" is a mean paired difference and the half-width of its 95 % t interval over seeds; per cent are of the
other arm's score. Where the interval holds 0 the sentence says "not separable".
"""

from collections.abc import Sequence

from eqvae.comparison import summary
from eqvae.comparison.summary import Paired, Row

UNITS = {
    "free_energy": "nats",
    "elbo": "nats",
    "iwae": "nats",
    "pose_degrees": "degrees",
    "clustering": "of accuracy",
}


def sentence(pair: Paired, where: str) -> str:
    """One sentence on a paired difference, e.g. "At upright, hard loses 12.3 +- 1.0 nats (5.1 %) to ..."."""
    unit = UNITS.get(pair.column, pair.column.replace("_", " "))
    share = f" ({number(abs(pair.percent))} %)" if pair.percent is not None else ""
    amount = f"{number(abs(pair.mean))} {unit}{share}"
    if pair.interval is None:
        side = "ahead of" if pair.better else "behind" if pair.mean else "apart from"
        return (
            f"{where}, {pair.first} is {amount} {side} {pair.second} in its one seed, which allows no "
            "interval."
        )
    if pair.mean == 0:
        return f"{where}, {pair.first} and {pair.second} are equal: 0 {unit} apart over {pair.n} seeds."
    if not pair.separable:
        side = "better" if pair.better else "worse"
        return (
            f"{where}, {pair.first} and {pair.second} are not separable: {pair.first} is "
            f"{number(abs(pair.mean))} \u00b1 {number(pair.half)} {unit}{share} {side} on average, and "
            f"better in {pair.wins} of {pair.n} seeds."
        )
    amount = f"{number(abs(pair.mean))} \u00b1 {number(pair.half)} {unit}{share}"
    if pair.better:
        told = f"{pair.first} gains {amount} on {pair.second} in {pair.wins} of {pair.n} seeds."
    else:
        lost = pair.n - pair.wins
        told = f"{pair.first} loses {amount} to {pair.second} in {lost} of {pair.n} seeds."
    return f"{where}, {told}"


def main_pair(
    rows: Sequence[Row], first: str, second: str, scenario: str, column: str = "free_energy"
) -> Paired | None:
    where = {"scenario": scenario, "images": summary.main_budget(rows, scenario)}
    return summary.paired(rows, first, second, column, **where)


def plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def number(value: float) -> str:
    """One decimal from 1 on, two significant digits below; rounding noise is 0."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 0.995 or value < 1e-9:
        return f"{value:.1f}"
    return f"{value:.2g}"
