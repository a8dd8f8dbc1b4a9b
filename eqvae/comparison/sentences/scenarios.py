"""Sentences on the scenarios: who is best where, by how much, and what was expected."""

from collections.abc import Sequence

from eqvae.comparison import summary
from eqvae.comparison.arms import of_kind
from eqvae.comparison.sentences.sweeps import course
from eqvae.comparison.sentences.words import main_pair, number, plural, sentence
from eqvae.comparison.summary import Row

# scenario, the arm expected ahead, the arm expected behind, why: written before any result was seen
EXPECTED = (
    ("se2", "hard", "augment", "the data obey the symmetry exactly"),
    ("se2", "hard", "soft_sum", "the data obey the symmetry exactly"),
    ("upright", "relaxed", "hard", "the pose carries no information to factor out"),
    ("broken", "relaxed", "hard", "the data break the symmetry"),
    ("stretched", "relaxed", "hard", "the data obey another group"),
)


def in_short(rows: Sequence[Row]) -> list[str]:
    found = []
    for arm in of_kind("relaxed"):
        gaps = summary.gaps(rows, arm)
        worst, count = summary.worst_gap(gaps), f"{len(gaps)} {plural(len(gaps), 'scenario')}"
        if worst and worst.amount == 0:
            found.append(f"{arm} is the best arm at each of {count}.")
        elif worst:
            found.append(
                f"Over {count}, {arm} lies at most {number(worst.percent)} % "
                f"({number(worst.amount)} nats) behind the best arm, at {worst.scenario} behind {worst.best}."
            )
    hard = summary.worst_gap(summary.gaps(rows, "hard"))
    if hard:
        first = [g.scenario for g in summary.gaps(rows, "hard").values() if g.best == "hard"]
        found.append(
            f"hard is the best arm at {len(first)} of {len(summary.gaps(rows, 'hard'))} scenarios"
            f"{' (' + ', '.join(first) + ')' if first else ''}, and at worst {number(hard.percent)} % "
            f"({number(hard.amount)} nats) behind, at {hard.scenario}."
        )
    ranks = summary.ranks(rows)
    if ranks:
        (best, rank), *_, (last, low) = ranks.means.items()
        reach = rank + ranks.critical_difference
        near = [arm for arm, mean in ranks.means.items() if arm != best and mean <= reach]
        rest = f"; not separable from it: {', '.join(near)}" if near else ""
        found.append(
            f"By mean rank over {ranks.blocks} (scenario, seed), {best} is first with {rank:.1f} and {last} "
            f"last with {low:.1f} of {len(ranks.means)} (Friedman {ranks.friedman:.1f}, p = {ranks.p:.1g}; "
            f"critical difference {ranks.critical_difference:.1f}{rest})."
        )
    return found


def surprises(rows: Sequence[Row]) -> list[str]:
    """What was expected beforehand and did not come, then the count of what did."""
    found, held, asked = [], 0, 0
    for scenario, ahead, behind, why in EXPECTED:
        pair = main_pair(rows, ahead, behind, scenario)
        if pair is None:
            continue
        asked += 1
        if pair.separable and pair.better:
            held += 1
        else:
            told = sentence(pair, f"At {scenario}")
            found.append(f"{told} Expected was {ahead} ahead, because {why}.")
    for sweep in summary.sweeps(rows):
        asked += 1
        held += sweep.monotone
        if not sweep.monotone:
            found.append(f"{course(sweep)} Expected was an error that falls with every step.")
    if asked:
        found.append(f"{held} of {asked} expectations stated beforehand held.")
    return found


def by_scenario(rows: Sequence[Row]) -> list[str]:
    found = []
    for scenario in summary.scenarios(rows):
        means = summary.scenario_means(rows, scenario)
        order = sorted(means, key=lambda arm: means[arm].mean)
        if len(order) < 2:
            continue
        best, second = order[:2]
        pairs = [(best, second), ("hard", "augment"), ("hard", best), ("relaxed", best)]
        seen: set[frozenset[str]] = set()
        for pair in pairs:
            if pair[0] != pair[1] and frozenset(pair) not in seen:
                seen.add(frozenset(pair))
                difference = main_pair(rows, *pair, scenario)
                if difference is not None:
                    found.append(sentence(difference, f"At {scenario}"))
        pose = main_pair(rows, "hard", "augment", scenario, "pose_degrees")
        if pose is not None:
            found.append(sentence(pose, f"In the pose at {scenario}"))
    return found


def other_aims(rows: Sequence[Row]) -> list[str]:
    """Where the arm with the best free energy has not the best pose or clusters, how far behind it is."""
    found = []
    for column, name in (("pose_degrees", "pose"), ("clustering", "clusters")):
        for scenario in summary.scenarios(rows):
            first = summary.best_arm(summary.scenario_means(rows, scenario))
            best = summary.best_arm(summary.scenario_means(rows, scenario, column), column)
            pair = (
                main_pair(rows, best, first, scenario, column) if best and best != first else None
            )
            if pair is not None and pair.better:
                where = f"In the {name} at {scenario}, where {first} has the best free energy"
                found.append(sentence(pair, where))
    return found
