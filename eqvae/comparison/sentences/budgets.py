"""Sentences on the number of training images, on cost and on how fair the comparison is."""

import math
from collections.abc import Sequence

from eqvae.comparison import summary
from eqvae.comparison.sentences.words import number, plural, sentence
from eqvae.comparison.summary import Crossing, Row


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
        where = {"scenario": "se2", "images": 1000}
        for column in ("elbo", "pose_degrees"):
            blocks = ("budgets", "scenarios")
            pair = summary.paired(rows, "hard", "augment", column, blocks, **where)
            if pair:
                place = "In the ELBO" if column == "elbo" else "In the pose"
                found.append(sentence(pair, f"{place} at se2 with 1,000 images"))
    crossed = summary.crossing(rows)
    if crossed:
        found.append(_crossed(crossed, "budget", [f"{n:,}" for n in crossed.points]))
    crossed = summary.crossing(rows, along="scenario")
    if crossed:
        found.append(_crossed(crossed, "scenario", [str(n) for n in crossed.points]))
    return found


def costs(rows: Sequence[Row]) -> list[str]:
    found = []
    for scenario in summary.scenarios(rows, "macs"):
        images = summary.main_budget(rows, scenario, "macs")
        means = summary.scenario_means(rows, scenario, match="macs")
        for arm in means:
            where = {"scenario": scenario, "images": images, "match": "macs"}
            pair = summary.paired(rows, "hard", arm, blocks=("macs",), **where)
            if arm != "hard" and pair is not None:
                found.append(sentence(pair, f"At {scenario} with MACs matched"))
    for scenario in summary.scenarios(rows)[:1]:
        found += [told for arm in ("augment", "relaxed") if (told := _dearer(rows, arm, scenario))]
    return found


def _dearer(rows: Sequence[Row], arm: str, scenario: str) -> str | None:
    """How much longer hard trains than another arm, and on how many times its MACs."""
    seconds, macs = (
        {a: s.mean for a, s in summary.scenario_means(rows, scenario, column).items()}
        for column in ("seconds", "macs")
    )
    if not all(found.get(a) for found in (seconds, macs) for a in ("hard", arm)):
        return None
    return (
        f"At {scenario}, hard trains {seconds['hard'] / seconds[arm]:.2g} times as long as {arm} "
        f"({number(seconds['hard'])} s to {number(seconds[arm])} s) with "
        f"{macs['hard'] / macs[arm]:.2g} times its MACs."
    )


def fairness(rows: Sequence[Row]) -> list[str]:
    found = []
    for column, name in (("parameters", "Parameters"), ("macs", "MACs")):
        off = summary.match_percent(rows, column)
        if off:
            (scenario, arm), worst = max(off.items(), key=lambda item: abs(item[1]))
            found.append(
                f"{name} are matched to hard within {abs(worst):.2g} % (worst: {arm} at {scenario})."
            )
    kept = summary.results(rows)
    for status in ("diverged", "failed"):
        lost = [r for r in kept if r.get("status") == status]
        arms = summary.sort_arms(r["arm"] for r in lost)
        names = f" ({', '.join(arms)})" if arms else ""
        if kept:
            found.append(f"{len(lost)} of {len(kept)} cells {status}{names}.")
    return found


def _crossed(found: Crossing, kind: str, names: Sequence[str]) -> str:
    best = min(found.points, key=lambda key: found.points[key].mean)
    pair = found.points[best]
    tried = f"{len(names)} tried: {', '.join(names)}"
    if not found.wins:
        return (
            f"No {kind} was found at which {found.first} beats {found.second} ({tried}; it comes nearest "
            f"at {_key(best)}, {number(abs(pair.mean))} nats behind)."
        )
    clear = [_key(k) for k in found.wins if found.points[k].separable]
    told = (
        f"{found.first} beats {found.second} on average at {len(found.wins)} of {len(names)} "
        f"{plural(len(names), kind)} ({', '.join(map(_key, found.wins))}), separably at "
        f"{', '.join(clear) if clear else 'none (0) of them'}; its largest lead is "
        f"{number(abs(pair.mean))} nats at {_key(best)}."
    )
    if found.at:
        places = ", ".join(f"{round(images):,}" for images in found.at)
        told += f" The curves cross at about {places} images."
    return told


def _key(key: object) -> str:
    return f"{key:,} images" if isinstance(key, int) else str(key)
