"""The findings of a comparison in plain English, each sentence with its numbers.

"a +- b" is a mean paired difference and the half-width of its 95 % t interval over seeds; per cent are of the
other arm's free energy. Where the interval holds 0 the sentence says "not separable".
"""

import math
from collections.abc import Iterable, Sequence

from eqvae.comparison import summary
from eqvae.comparison.summary import Crossing, Paired, Row, Sweep

# level, the arm expected ahead, the arm expected behind, why: written before any result was seen
EXPECTED = (
    ("se2", "hard", "augment", "the data obey the symmetry exactly"),
    ("se2", "hard", "soft_sum", "the data obey the symmetry exactly"),
    ("upright", "relaxed", "hard", "the pose carries no information to factor out"),
    ("broken", "relaxed", "hard", "the data break the symmetry"),
    ("stretched", "relaxed", "hard", "the data obey another group"),
)
UNITS = {
    "free_energy": "nats",
    "elbo": "nats",
    "iwae": "nats",
    "pose_degrees": "degrees",
    "clustering": "of accuracy",
}


def sentences(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Sentences by topic; a topic on which the rows are silent is left out."""
    rows = list(rows)
    found = {
        "In short": in_short(rows),
        "Against expectation": surprises(rows),
        "Level by level": by_level(rows),
        "Pose and clusters": other_aims(rows),
        "Training images": budgets(rows),
        "Weights of the soft penalties": weights(rows),
        "Cost": costs(rows),
        "Fairness and losses": fairness(rows),
    }
    return {topic: told for topic, told in found.items() if told}


def compare(pair: Paired, where: str) -> str:
    """One sentence on a paired difference, e.g. "At upright, hard loses 12.3 +- 1.0 nats (5.1 %) to ..."."""
    unit = UNITS.get(pair.column, pair.column.replace("_", " "))
    share = f" ({_number(abs(pair.percent))} %)" if pair.percent is not None else ""
    amount = f"{_number(abs(pair.mean))} {unit}{share}"
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
            f"{_number(abs(pair.mean))} \u00b1 {_number(pair.half)} {unit}{share} {side} on average, and "
            f"better in {pair.wins} of {pair.n} seeds."
        )
    amount = f"{_number(abs(pair.mean))} \u00b1 {_number(pair.half)} {unit}{share}"
    if pair.better:
        told = f"{pair.first} gains {amount} on {pair.second} in {pair.wins} of {pair.n} seeds."
    else:
        lost = pair.n - pair.wins
        told = f"{pair.first} loses {amount} to {pair.second} in {lost} of {pair.n} seeds."
    return f"{where}, {told}"


def in_short(rows: Sequence[Row]) -> list[str]:
    found = []
    for arm in summary.RELAXED:
        gaps = summary.gaps(rows, arm)
        worst, count = summary.worst_gap(gaps), f"{len(gaps)} {_plural(len(gaps), 'level')}"
        if worst and worst.amount == 0:
            found.append(f"{arm} is the best arm at each of {count}.")
        elif worst:
            found.append(
                f"Over {count}, {arm} lies at most {_number(worst.percent)} % "
                f"({_number(worst.amount)} nats) behind the best arm, at {worst.level} behind {worst.best}."
            )
    hard = summary.worst_gap(summary.gaps(rows, "hard"))
    if hard:
        first = [g.level for g in summary.gaps(rows, "hard").values() if g.best == "hard"]
        found.append(
            f"hard is the best arm at {len(first)} of {len(summary.gaps(rows, 'hard'))} levels"
            f"{' (' + ', '.join(first) + ')' if first else ''}, and at worst {_number(hard.percent)} % "
            f"({_number(hard.amount)} nats) behind, at {hard.level}."
        )
    ranks = summary.ranks(rows)
    if ranks:
        (best, rank), *_, (last, low) = ranks.means.items()
        reach = rank + ranks.critical_difference
        near = [arm for arm, mean in ranks.means.items() if arm != best and mean <= reach]
        rest = f"; not separable from it: {', '.join(near)}" if near else ""
        found.append(
            f"By mean rank over {ranks.blocks} (level, seed), {best} is first with {rank:.1f} and {last} "
            f"last with {low:.1f} of {len(ranks.means)} (Friedman {ranks.friedman:.1f}, p = {ranks.p:.1g}; "
            f"critical difference {ranks.critical_difference:.1f}{rest})."
        )
    return found


def surprises(rows: Sequence[Row]) -> list[str]:
    """What was expected beforehand and did not come, then the count of what did."""
    found, held, asked = [], 0, 0
    for level, ahead, behind, why in EXPECTED:
        pair = _main(rows, ahead, behind, level)
        if pair is None:
            continue
        asked += 1
        if pair.separable and pair.better:
            held += 1
        else:
            told = compare(pair, f"At {level}")
            found.append(f"{told} Expected was {ahead} ahead, because {why}.")
    for sweep in summary.sweeps(rows):
        asked += 1
        held += sweep.monotone
        if not sweep.monotone:
            found.append(f"{_course(sweep)} Expected was an error that falls with every step.")
    if asked:
        found.append(f"{held} of {asked} expectations stated beforehand held.")
    return found


def by_level(rows: Sequence[Row]) -> list[str]:
    found = []
    for level in summary.levels(rows):
        means = summary.level_means(rows, level)
        order = sorted(means, key=lambda arm: means[arm].mean)
        if len(order) < 2:
            continue
        best, second = order[:2]
        pairs = [(best, second), ("hard", "augment"), ("hard", best), ("relaxed", best)]
        seen: set[frozenset[str]] = set()
        for pair in pairs:
            if pair[0] != pair[1] and frozenset(pair) not in seen:
                seen.add(frozenset(pair))
                difference = _main(rows, *pair, level)
                if difference is not None:
                    found.append(compare(difference, f"At {level}"))
        pose = _main(rows, "hard", "augment", level, "pose_degrees")
        if pose is not None:
            found.append(compare(pose, f"In the pose at {level}"))
    return found


def other_aims(rows: Sequence[Row]) -> list[str]:
    """Where the arm with the best free energy has not the best pose or clusters, how far behind it is."""
    found = []
    for column, name in (("pose_degrees", "pose"), ("clustering", "clusters")):
        for level in summary.levels(rows):
            first = summary.best_arm(summary.level_means(rows, level))
            best = summary.best_arm(summary.level_means(rows, level, column), column)
            pair = _main(rows, best, first, level, column) if best and best != first else None
            if pair is not None and pair.better:
                where = f"In the {name} at {level}, where {first} has the best free energy"
                found.append(compare(pair, where))
    return found


def budgets(rows: Sequence[Row]) -> list[str]:
    found = []
    ratio = summary.data_ratio(rows)
    if ratio:
        largest = max(summary.curve(rows, "augment"))
        tail = f"the free energy that augment reaches with {largest:,}"
        if ratio.bound == ">":
            most = round(ratio.value * largest)
            found.append(f"With up to {most:,} images at se2, hard does not reach {tail}.")
        else:
            word = "at most " if ratio.bound else ""
            interval = ""
            if ratio.interval and not ratio.bound:
                low, high = (f"{e:.2g}" if e < math.inf else "never" for e in ratio.interval)
                interval = f", 95 % interval over seeds {low} to {high}"
            found.append(
                f"At se2, hard needs {word}{round(ratio.value * largest):,} images for {tail}, "
                f"{ratio.value:.2g} times as many{interval}."
            )
    won = summary.hard_wins_all_seeds(rows)
    if won is not None:
        where = {"level": "se2", "images": 1000}
        for column in ("elbo", "pose_degrees"):
            blocks = ("budgets", "levels")
            pair = summary.paired(rows, "hard", "augment", column, blocks, **where)
            if pair:
                place = "In the ELBO" if column == "elbo" else "In the pose"
                found.append(compare(pair, f"{place} at se2 with 1,000 images"))
    crossed = summary.crossing(rows)
    if crossed:
        found.append(_crossed(crossed, "budget", [f"{n:,}" for n in crossed.points]))
    crossed = summary.crossing(rows, along="level")
    if crossed:
        found.append(_crossed(crossed, "level", [str(n) for n in crossed.points]))
    return found


def weights(rows: Sequence[Row]) -> list[str]:
    found = []
    for sweep in summary.sweeps(rows):
        told = _course(sweep)
        if sweep.price is not None and sweep.price.interval is not None:
            price = sweep.price
            cost = f"{_number(abs(price.mean))} \u00b1 {_number(price.half)} nats"
            verb = "costs" if price.mean > 0 else "gains"
            if not price.separable:
                cost += ", not separable from nothing"
            told += f" Going there {verb} {cost}."
        found.append(told)
    return found


def costs(rows: Sequence[Row]) -> list[str]:
    found = []
    for level in summary.levels(rows, "macs"):
        images = summary.main_budget(rows, level, "macs")
        means = summary.level_means(rows, level, match="macs")
        for arm in means:
            where = {"level": level, "images": images, "match": "macs"}
            pair = summary.paired(rows, "hard", arm, blocks=("macs",), **where)
            if arm != "hard" and pair is not None:
                found.append(compare(pair, f"At {level} with MACs matched"))
    for level in summary.levels(rows)[:1]:
        seconds = summary.level_means(rows, level, "seconds")
        macs = summary.level_means(rows, level, "macs")
        for arm in ("augment", "relaxed"):
            if (
                {"hard", arm} <= seconds.keys() & macs.keys()
                and seconds[arm].mean
                and macs[arm].mean
            ):
                found.append(
                    f"At {level}, hard trains {seconds['hard'].mean / seconds[arm].mean:.2g} times as "
                    f"long as {arm} ({_number(seconds['hard'].mean)} s to {_number(seconds[arm].mean)} s) "
                    f"with {macs['hard'].mean / macs[arm].mean:.2g} times its MACs."
                )
    return found


def fairness(rows: Sequence[Row]) -> list[str]:
    found = []
    for column, name in (("parameters", "Parameters"), ("macs", "MACs")):
        off = summary.match_percent(rows, column)
        if off:
            (level, arm), worst = max(off.items(), key=lambda item: abs(item[1]))
            found.append(
                f"{name} are matched to hard within {abs(worst):.2g} % (worst: {arm} at {level})."
            )
    kept = summary.results(rows)
    for status in ("diverged", "failed"):
        lost = [r for r in kept if r.get("status") == status]
        arms = summary.in_order((r["arm"] for r in lost), summary.ARMS)
        names = f" ({', '.join(arms)})" if arms else ""
        if kept:
            found.append(f"{len(lost)} of {len(kept)} cells {status}{names}.")
    return found


def _main(
    rows: Sequence[Row], first: str, second: str, level: str, column: str = "free_energy"
) -> Paired | None:
    where = {"level": level, "images": summary.main_budget(rows, level)}
    return summary.paired(rows, first, second, column, **where)


def _course(sweep: Sweep) -> str:
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
        f"At {sweep.level}, the {error} of {sweep.arm} {verb} from {sweep.points[low].mean:.2g} at weight "
        f"\u00d7{low:g} to {sweep.points[high].mean:.2g} at \u00d7{high:g}, {how}{rank}, and {end}."
    )


def _crossed(found: Crossing, kind: str, names: Sequence[str]) -> str:
    best = min(found.points, key=lambda key: found.points[key].mean)
    pair = found.points[best]
    tried = f"{len(names)} tried: {', '.join(names)}"
    if not found.wins:
        return (
            f"No {kind} was found at which {found.first} beats {found.second} ({tried}; it comes nearest "
            f"at {_key(best)}, {_number(abs(pair.mean))} nats behind)."
        )
    clear = [_key(k) for k in found.wins if found.points[k].separable]
    told = (
        f"{found.first} beats {found.second} on average at {len(found.wins)} of {len(names)} "
        f"{_plural(len(names), kind)} ({', '.join(map(_key, found.wins))}), separably at "
        f"{', '.join(clear) if clear else 'none (0) of them'}; its largest lead is "
        f"{_number(abs(pair.mean))} nats at {_key(best)}."
    )
    if found.at:
        places = ", ".join(f"{round(images):,}" for images in found.at)
        told += f" The curves cross at about {places} images."
    return told


def _key(key: object) -> str:
    return f"{key:,} images" if isinstance(key, int) else str(key)


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def _number(value: float) -> str:
    """One decimal from 1 on, two significant digits below; rounding noise is 0."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 0.995 or value < 1e-9:
        return f"{value:.1f}"
    return f"{value:.2g}"
