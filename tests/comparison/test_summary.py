"""Summaries of a planted comparison, whose answers are known in closed form.

Every arm's free energy is 100 + its offset at the scenario + the seed's own shift, which pairing removes. On
budgets, F = 100 + offset + slope * log2(10000 / images).
"""

import math
from typing import Any

import numpy as np
import pytest

from eqvae.comparison import summary
from eqvae.comparison.advice import Validation
from eqvae.comparison.arms import arms
from eqvae.comparison.charts.labels import apart

ARMS = list(arms())
SEEDS = range(5)
BUDGETS = (500, 1000, 2500, 10_000)
OFFSETS = {  # nats behind hard at se2; the rest 30
    "hard": 0.0,
    "hard_so2": 1.0,
    "relaxed": 2.0,
    "soft_sum": 8.0,
    "augment": 10.0,
    "plain": 40.0,
}
SLOPES = {"hard": 4.0, "augment": 20.0, "soft_sum": 8.0}  # nats for half of the images; the rest 12
WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)
SHIFTS = (-3.0, -1.0, 0.0, 1.0, 3.0)  # of the seeds, the same for all arms


def cell(
    block="scenarios", arm="hard", scenario="se2", images=10_000, seed=0, **other
) -> dict[str, Any]:
    offset = OFFSETS.get(arm, 30.0) if scenario != "upright" else -10.0 * (arm == "relaxed")
    slope = SLOPES.get(arm, 12.0)
    energy = 100 + offset + slope * math.log2(10_000 / images) + SHIFTS[seed]
    error = 1e-3 if arm.startswith("hard") else 0.3
    return {
        "block": block,
        "arm": arm,
        "scenario": scenario,
        "images": images,
        "match": "parameters",
        "weight": 1.0,
        "seed": seed,
        "status": "finished",
        "step": None,
        "lr": 1e-3,
        "parameters": 100_000 if arm == "hard" else 101_000,
        "macs": 2e6 if arm == "hard" else 1e6,
        "epochs": 20,
        "seconds": 30.0 + 10 * ARMS.index(arm),
        "val_elbo": -energy - 50,
        "elbo": -energy - 50,
        "free_energy": energy,
        "iwae": -energy - 49,
        "squared_error": energy / 10,
        "kl": 20.0,
        "encoder_error": error,
        "encoder_shift_error": error,
        "decoder_error": error,
        "pose_degrees": 1.0 if arm.startswith("hard") else 90.0,
        "shift_px": 0.2,
        "leak_r2": 0.01,
        "clustering": 0.8 if scenario == "se2" else None,
        "dial": 0.1 if arm == "relaxed" else None,
    } | other


def planted() -> list[dict[str, Any]]:
    """Scenarios se2 and upright (relaxed ahead by 10), budgets, a monotone sweep of soft_sum, MAC matches."""
    rows = [
        cell(arm=a, scenario=name, seed=s)
        for a in ARMS
        for name in ("se2", "upright")
        for s in SEEDS
    ]
    rows += [
        cell("budgets", a, images=n, seed=s)
        for a in ("plain", "augment", "soft_sum", "hard")
        for n in BUDGETS[:-1]  # the last one stands among the scenarios
        for s in SEEDS
    ]
    for weight in WEIGHTS:
        if weight != 1.0:  # stands among the scenarios
            error = 0.3 * weight**-0.5
            better = {"encoder_error": error, "decoder_error": error, "weight": weight}
            for s in SEEDS:
                price = 108 + 2 * math.log10(weight) + SHIFTS[s]
                rows.append(cell("weights", "soft_sum", seed=s, free_energy=price, **better))
    rows += [
        cell("macs", a, seed=s, match="macs", macs=2.03e6, parameters=2e5)
        for a in ("plain", "augment", "relaxed")
        for s in SEEDS
    ]
    rows += [cell("tuning", "hard", free_energy=-1e6, elbo=1e6, parameters=1, macs=1.0)]
    return rows


def changed(rows, change: dict, **where) -> list[dict[str, Any]]:
    return [r | change if all(r[k] == v for k, v in where.items()) else r for r in rows]


def test_seeds_are_averaged_and_tuning_never_counts():
    found = {
        (g["block"], g["arm"], g["scenario"], g["images"]): g for g in summary.groups(planted())
    }
    hard = found["scenarios", "hard", "se2", 10_000]
    assert hard["seeds"] == 5 and hard["free_energy"].mean == pytest.approx(100)
    assert hard["free_energy"].std == pytest.approx(np.std(SHIFTS, ddof=1))
    assert not any(block == "tuning" for block, *_ in found)


def test_a_cell_that_was_run_again_counts_once_with_its_last_run():
    rows = planted() + [cell(seed=0, free_energy=200.0)]
    assert summary.scenario_means(rows, "se2")["hard"].n == 5
    assert summary.scenario_means(rows, "se2")["hard"].mean == pytest.approx(100 + 103 / 5)


def test_pairing_removes_what_the_seeds_share():
    pair = summary.paired(planted(), "hard", "augment", scenario="se2", images=10_000)
    assert pair.mean == pytest.approx(-10) and pair.wins == pair.n == 5
    assert pair.interval == pytest.approx((-10, -10)) and pair.separable and pair.better
    assert pair.percent == pytest.approx(-100 * 10 / 110)


def test_the_interval_is_students_t():
    one, two = {s: float(d) for s, d in enumerate([1, 2, 3])}, dict.fromkeys(range(3), 0.0)
    pair = summary.difference(one, two, "a", "b", "free_energy")
    half = 4.302653 / math.sqrt(3)  # t_{0.975, 2} * std / sqrt(n)
    assert pair.interval == pytest.approx((2 - half, 2 + half), abs=1e-5) and not pair.separable
    assert pair.wins == 0
    assert summary.difference({0: 1.0}, {0: 2.0}, "a", "b", "elbo").interval is None
    assert summary.difference({0: 1.0}, {1: 2.0}, "a", "b", "elbo") is None


@pytest.mark.parametrize(
    ("change", "won"),
    [
        ({}, True),
        ({"pose_degrees": 91.0}, False),
        ({"elbo": -1e4}, False),
        ({"status": "diverged"}, False),
        ({"pose_degrees": None}, True),  # that seed says nothing, the others do
    ],
)
def test_hard_wins_only_with_both_scores_in_every_seed(change, won):
    rows = changed(planted(), change, arm="hard", block="budgets", images=1000, seed=2)
    assert summary.hard_wins_all_seeds(rows) is won


def test_hard_wins_needs_the_budget():
    assert summary.hard_wins_all_seeds([cell(arm=a) for a in ARMS]) is None


@pytest.mark.parametrize(
    ("offset", "value", "bound"),
    [
        (6.0, 10 ** (-0.5 * math.log10(2)), ""),  # 100 + 6 + 4 x = 108 at half a doubling
        (0.0, 2 ** (-2.0), ""),  # 100 + 4 x = 108 at two doublings, the budget 2500
        (-30.0, 0.05, "<="),
        (9.0, 1.0, ">"),
    ],
)
def test_data_ratio_is_where_the_curve_meets_the_target(offset, value, bound):
    moved = {"hard": offset, "augment": -2.0}  # the target is 108
    rows = [r | {"free_energy": r["free_energy"] + moved.get(r["arm"], 0)} for r in planted()]
    ratio = summary.data_ratio(rows)
    assert ratio.bound == bound
    assert ratio.value == pytest.approx(value, rel=1e-6)
    at = math.inf if bound == ">" else value
    assert ratio.interval == pytest.approx((at, at))  # the seeds differ only in what they share
    first = summary.headline(rows)
    assert (first["data_ratio_to_match_plain"] is None) == (bound == ">")
    assert (first["data_ratio_bound"] or "").startswith(bound)


def test_data_ratio_takes_the_last_crossing():
    """A curve that dips below the target and comes back has not reached it yet."""
    rows = changed(planted(), {"free_energy": 50.0}, arm="hard", images=500)
    rows = changed(rows, {"free_energy": 120.0}, arm="hard", images=1000)
    ratio = summary.data_ratio(rows)
    assert ratio.bound == "" and 0.1 < ratio.value < 0.25
    assert summary.data_ratio([cell(arm=a) for a in ARMS]) is None  # one budget is no curve


def test_relaxed_gap_and_hards():
    rows = planted()
    found = summary.gaps(rows, "relaxed")
    assert found["se2"].best == "hard" and found["se2"].percent == pytest.approx(2)
    assert found["upright"].best == "relaxed" and found["upright"].amount == 0
    hard = summary.gaps(rows, "hard")
    assert hard["upright"].percent == pytest.approx(100 * 10 / 90) and hard["se2"].percent == 0
    assert summary.worst_gap(found).scenario == "se2"
    assert summary.gaps(rows, "relaxed", "elbo")["se2"].percent == pytest.approx(100 * 2 / 150)


def test_match_is_measured_against_hard():
    found = summary.match_percent(planted(), "parameters")
    assert found["se2", "plain"] == pytest.approx(1.0) and ("se2", "hard") not in found
    rows = changed(planted(), {"parameters": 96_000}, arm="soft_sum", scenario="upright")
    assert summary.match_percent(rows, "parameters")["upright", "soft_sum"] == pytest.approx(-4)
    first = summary.headline(rows)
    assert first["parameter_match_worst_percent"] == pytest.approx(4)
    assert first["mac_match_worst_percent"] == pytest.approx(1.5)


def test_the_reference_stands_in_at_matched_macs():
    means = summary.scenario_means(planted(), "se2", match="macs")
    assert set(means) == {"plain", "augment", "relaxed", "hard"}
    pair = summary.paired(
        planted(), "hard", "plain", blocks=("macs",), scenario="se2", images=10_000, match="macs"
    )
    assert pair.mean == pytest.approx(-40) and pair.n == 5


def test_a_planted_sweep_is_monotone_and_priced():
    (sweep,) = summary.sweeps(planted(), ("encoder_error",))
    assert list(sweep.points) == list(WEIGHTS) and sweep.spearman == pytest.approx(-1)
    assert sweep.monotone and sweep.saturates_at == 10.0
    assert sweep.price.mean == pytest.approx(2 * math.log10(10 / 0.1))
    rows = changed(planted(), {"encoder_error": 0.05}, block="weights", weight=0.3)
    (sweep,) = summary.sweeps(rows, ("encoder_error",))
    assert not sweep.monotone and sweep.saturates_at == 0.3 and sweep.spearman > -1
    assert sweep.price.mean == pytest.approx(2 * math.log10(3))


def test_ranks_of_a_known_order():
    ranks = summary.ranks(planted())
    assert ranks.blocks == 10 and ranks.p < 1e-6
    assert list(ranks.means)[0] == "relaxed"  # third at se2, first at upright
    assert ranks.means["relaxed"] == pytest.approx((3 + 1) / 2)
    arms = len(ranks.means)
    tied = (2 + arms) / 2  # all others at upright: the mean of 2 ..
    assert ranks.means["hard"] == pytest.approx((1 + tied) / 2)
    # Demsar (2006), table 5: q_0.05 = 2.343 for 3 arms
    three = [r for r in planted() if r["arm"] in ("hard", "plain", "relaxed")]
    found = summary.ranks(three)
    assert found.critical_difference == pytest.approx(2.343 * math.sqrt(12 / 60), abs=2e-3)
    assert found.intervals is None  # two scenarios are too few to resample


def test_a_diverged_cell_ranks_last_and_a_lone_arm_drops_out():
    rows = changed(
        planted(), {"status": "diverged", "free_energy": None}, arm="hard", scenario="se2"
    )
    ranks = summary.ranks(rows).means
    arms = len(ranks)
    assert ranks["hard"] == pytest.approx((arms + (2 + arms) / 2) / 2)
    lone = [
        r for r in planted() if r["arm"] != "plain" or (r["scenario"] == "se2" and r["seed"] == 0)
    ]
    assert "plain" not in summary.ranks(lone).means
    assert summary.ranks([cell(arm="hard"), cell(arm="plain")]) is None


def test_arms_that_are_the_same_are_not_separable():
    rows = changed(planted(), {"free_energy": 100.0})
    assert summary.ranks(rows) is None
    pair = summary.paired(rows, "hard", "plain", scenario="se2", images=10_000)
    assert pair.mean == 0 and not pair.separable and pair.wins == 0


def test_a_planted_crossing_is_found_between_its_budgets():
    rows = [
        r | {"free_energy": r["free_energy"] - 12 * (r["arm"] == "soft_sum")} for r in planted()
    ]
    found = summary.crossing(rows)  # soft_sum - hard = -4 + 4 log2(10000 / n): 0 at 5000
    assert found.between == [(2500, 10_000)] and found.at == pytest.approx([5000])
    assert found.wins == [10_000]


def test_no_crossing_where_hard_is_always_ahead():
    found = summary.crossing(planted())
    assert found.between == [] and found.wins == [] and list(found.points) == list(BUDGETS)
    by_scenario = summary.crossing(planted(), along="scenario")
    assert list(by_scenario.points) == ["se2", "upright"] and not by_scenario.wins


def test_a_control_where_hard_does_not_win():
    """If augment is planted ahead, every verdict turns."""
    swap = {"hard": "augment", "augment": "hard"}
    rows = [r | {"arm": swap.get(r["arm"], r["arm"])} for r in planted()]
    first = summary.headline(rows)
    assert first["hard_wins_all_seeds_1k"] is False
    assert first["data_ratio_to_match_plain"] is None and first["data_ratio_bound"] == "> 1"
    assert first["hard_gap_percent"]["se2"] == pytest.approx(10)
    assert first["soft_beats_hard_at_images"] == list(BUDGETS)


def test_the_headline_is_complete():
    chooser = Validation(0.95, {"hard": 0.9, "plain": 0.2}, 100, {}, {})
    first = summary.headline(planted(), chooser)
    assert first["cells"] == first["finished"] == len(planted()) - 1
    assert first["seeds"] == first["seeds_least"] == 5 and first["diverged"] == 0
    assert first["hard_wins_all_seeds_1k"] is True
    assert first["chooser_within_1_percent"] == 95
    assert (first["chooser_floor_arm"], first["chooser_floor_percent"]) == ("hard", 90)
    # 100 + 4 x = 110 at 2.5 doublings below 10,000
    assert first["data_ratio_to_match_plain"] == pytest.approx(2**-2.5)
    assert first["relaxed_worst_gap_percent"] == pytest.approx(2)
    assert first["relaxed_worst_scenario"] == "se2"
    forms = first["relaxed_forms_worst_gap_percent_elbo"]
    assert set(forms) == {"relaxed", "relaxed_layers", "relaxed_bias"}
    assert forms["relaxed"] == first["relaxed_worst_gap_percent_elbo"] == pytest.approx(2 / 1.5)
    assert forms["relaxed_bias"] == pytest.approx(30 / 1.5)  # behind hard's -150


@pytest.mark.parametrize("rows", [[], [{}], [{"block": "scenarios", "arm": "hard"}], [cell()]])
def test_missing_data_are_none_and_never_a_crash(rows):
    first = summary.headline(rows)
    assert first["data_ratio_to_match_plain"] is None
    assert first["hard_wins_all_seeds_1k"] is None
    assert first["relaxed_worst_gap_percent"] is None
    assert first["relaxed_forms_worst_gap_percent_elbo"] is None
    assert first["parameter_match_worst_percent"] is None


def test_labels_move_apart_and_no_further():
    assert apart([0.0, 50.0], 10) == [0.0, 50.0]
    assert apart([0.0, 0.0, 0.0], 10) == [-10.0, 0.0, 10.0]
