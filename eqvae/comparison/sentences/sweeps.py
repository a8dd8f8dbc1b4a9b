"""Sentences on the weights of the soft penalties."""

from collections.abc import Sequence

from eqvae.comparison import summary
from eqvae.comparison.sentences.words import number
from eqvae.comparison.summary import Row, Sweep


def weights(rows: Sequence[Row]) -> list[str]:
    found = []
    for sweep in summary.sweeps(rows):
        told = course(sweep)
        if sweep.price is not None and sweep.price.interval is not None:
            price = sweep.price
            cost = f"{number(abs(price.mean))} \u00b1 {number(price.half)} nats"
            verb = "costs" if price.mean > 0 else "gains"
            if not price.separable:
                cost += ", not separable from nothing"
            told += f" Going there {verb} {cost}."
        found.append(told)
    return found


def course(sweep: Sweep) -> str:
    low, high = list(sweep.points)[0], list(sweep.points)[-1]
    error = sweep.column.replace("_", " ")
    rank = "" if sweep.spearman is None else f" (Spearman {sweep.spearman:.2f})"
    how = "at every step" if sweep.monotone else "not at every step"
    verb = "falls" if sweep.points[high].mean < sweep.points[low].mean else "does not fall"
    least = min(sweep.points, key=lambda weight: sweep.points[weight].mean)
    end = f"is within 10 % of its smallest from \u00d7{sweep.saturates_at:g}"
    if not sweep.monotone:
        end = f"is smallest, {sweep.points[least].mean:.2g}, at \u00d7{least:g}"
    return (
        f"At {sweep.scenario}, the {error} of {sweep.arm} {verb} from {sweep.points[low].mean:.2g} at weight "
        f"\u00d7{low:g} to {sweep.points[high].mean:.2g} at \u00d7{high:g}, {how}{rank}, and {end}."
    )
