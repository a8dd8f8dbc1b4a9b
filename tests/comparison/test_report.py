"""The page: self-contained, complete, in step with its numbers, and safe with half a table."""

import json
import re

import pyarrow as pa
import pytest
from matplotlib.text import Text

from eqvae.comparison import charts, summary
from eqvae.comparison.arms import arms, of_kind
from eqvae.comparison.charts import labels
from eqvae.comparison.report import render, write_page
from eqvae.comparison.sentences import sentence, sentences
from eqvae.comparison.sentences.contests import contests
from eqvae.comparison.summary import Paired, Spread
from eqvae.comparison.tables import plus_minus, tables
from tests.comparison.test_summary import cell, changed, planted
from tests.evaluation.test_report import Page


def with_losses() -> list[dict]:
    lost = {"elbo": None, "free_energy": None, "iwae": float("nan"), "reason": "a <b> & c"}
    rows = changed(planted(), lost | {"status": "diverged", "step": 77}, arm="plain", seed=3)
    return changed(rows, lost | {"status": "failed"}, arm="soft_lie", seed=1)


def small() -> list[dict]:
    """A planted comparison of few arms, which is drawn faster."""
    return [r for r in planted() if r["arm"] in ("augment", "soft_sum", "relaxed", "hard")]


def all_told(rows) -> str:
    return "\n".join(line for told in sentences(rows).values() for line in told)


def test_the_page_is_written_well_formed_and_asks_for_nothing(tmp_path):
    path = write_page(with_losses(), tmp_path / "new", "Atlas <1>", {"machine": "a & b"})
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert all(a.startswith(("data:", "#")) for a in page.addresses)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= page.ids
    assert "<script" not in text and "http" not in text
    assert "Atlas &lt;1&gt;" in text and "a &lt;b&gt; &amp; c" in text  # names are escaped
    pictures = {p.stem for p in path.parent.glob("*.png")}
    assert text.count("data:image/png") == len(pictures)
    assert {"gaps", "pose", "ranks", "data_se2", "weights_se2", "tradeoff_se2"} <= pictures
    assert {"cost_seconds_se2", "cost_macs_se2"} <= pictures
    first = json.loads((path.parent / "atlas.json").read_text())
    assert first == json.loads(json.dumps(summary.headline(with_losses())))
    for topic in sentences(with_losses()):
        assert topic in text


def test_a_pyarrow_table_will_do(tmp_path):
    rows = [cell(arm=a, seed=s) for a in ("hard", "augment") for s in range(2)]
    path = write_page(pa.Table.from_pylist(rows), tmp_path)
    assert "hard gains 10.0" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"block": "scenarios", "arm": "hard", "scenario": "se2", "status": "failed"}],
        [cell()],
        [cell("budgets", images=500), cell("budgets", images=1000)],
        [cell("weights", "soft_sum", weight=w) for w in (0.0, 1.0, 10.0)],
        [cell("macs", "plain", match="macs")],
        [cell(scenario="of my own") | {"arm": a} for a in ("plain", "mine", "hard")],
        changed(small(), {"status": "diverged", "free_energy": None}),
        changed(small(), {"pose_degrees": None, "encoder_error": None}),
        changed(small(), {"encoder_error": 0.0, "decoder_error": 0.0}),
    ],
)
def test_half_a_table_is_shown_as_far_as_it_goes(tmp_path, rows):
    page = Page(write_page(rows, tmp_path).read_text(encoding="utf-8"))
    assert not page.open


def test_every_block_level_and_budget_has_its_table_and_tuning_none():
    found = {t.title: t for t in tables(planted())}
    assert len(found) == 2 + 3 + 1 + 1 - 1  # scenarios, budgets, weights (titled as se2), macs
    table = found["upright, 10,000 images, parameters matched"]
    assert [g["arm"] for g in table.groups] == list(arms())
    assert table.best == "relaxed" and "clustering" not in table.columns
    assert all(g["seeds"] == 5 for g in table.groups)
    text = render(with_losses(), "t", {})
    assert "1,000,000" not in text  # the planted trial


def test_lost_cells_are_listed_and_counted():
    text = render(with_losses(), "t", {})
    lost = text[text.index('id="lost"') :]
    count = sum(r["status"] != "finished" for r in with_losses())
    assert len(re.findall(r'<td class="lost">', lost)) == count
    assert "77" in lost and 'class="lost">of 5' in text
    assert "cells diverged (plain)." in all_told(with_losses())


def test_a_planted_loss_is_told_with_its_numbers():
    told = all_told(planted())
    assert (
        "At upright, hard loses 10.0 \u00b1 0.0 nats (11.1 %) to relaxed in 5 of 5 seeds." in told
    )
    assert "At se2, hard gains 10.0 \u00b1 0.0 nats (9.1 %) on augment in 5 of 5 seeds." in told
    assert "No budget was found at which soft_sum beats hard" in told
    assert "hard needs 1,768 images" in told and "0.18 times as many" in told
    assert "5 of 5 expectations stated beforehand held." in told


def test_the_control_turns_the_sentences():
    swap = {"hard": "augment", "augment": "hard"}
    told = all_told([r | {"arm": swap.get(r["arm"], r["arm"])} for r in planted()])
    assert "At se2, hard loses 10.0" in told and "hard does not reach" in told
    assert "Expected was hard ahead" in told
    assert "3 of 5 expectations stated beforehand held." in told  # soft_sum is ahead as well


def test_the_best_free_energy_is_not_called_the_best_at_everything():
    rows = [cell(arm=arm, seed=s) for arm in ("hard", "canonicalised") for s in range(5)]
    aims = {"pose_degrees": 20.0, "clustering": 0.5}
    equal = [r | aims for r in rows]
    assert "Pose and clusters" not in sentences(equal), "control"
    other = changed(equal, {"pose_degrees": 5.0, "clustering": 0.75}, arm="canonicalised")
    assert sentences(other)["Pose and clusters"] == [
        "In the pose at se2, where hard has the best free energy, canonicalised gains 15.0 \u00b1 0.0 "
        "degrees (75.0 %) on hard in 5 of 5 seeds.",
        "In the clusters at se2, where hard has the best free energy, canonicalised gains 0.25 \u00b1 0.0 "
        "of accuracy (50.0 %) on hard in 5 of 5 seeds.",
    ]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (Paired("a", "b", "free_energy", -0.5, (-1.5, 0.5), 3, 2, -1.0), "not separable"),
        (Paired("a", "b", "free_energy", -2.0, (-3.0, -1.0), 3, 3, -1.0), "a gains 2.0 \u00b1 1.0"),
        (Paired("a", "b", "elbo", -2.0, (-3.0, -1.0), 3, 0, -1.0), "a loses 2.0 \u00b1 1.0"),
        (Paired("a", "b", "elbo", 2.0, None, 1, 1, None), "no interval"),
        (Paired("a", "b", "elbo", 0.0, (0.0, 0.0), 3, 0, 0.0), "are equal"),
    ],
)
def test_a_comparison_says_what_its_interval_allows(pair, words):
    assert words in sentence(pair, "At se2")


def test_no_sentence_without_a_number():
    for rows in (planted(), with_losses(), [cell(arm=a) for a in list(arms())]):
        for line in all_told(rows).splitlines():
            assert re.search(r"\d", line.replace("se2", "")), line


@pytest.mark.parametrize(
    ("spread", "factor", "text"),
    [
        (Spread(120.34, 2.17, 5), 1, "120.3 \u00b1 2.2"),
        (Spread(-1234.5, 25.0, 5), 1, "\u22121,234 \u00b1 25"),
        (Spread(3e-7, 1e-7, 5), 1, "3.0\u00b710\u207b\u2077 \u00b1 1.0\u00b710\u207b\u2077"),
        (Spread(2e6, None, 1), 1e-6, "2.00"),
        (None, 1, "\u2013"),
    ],
)
def test_spreads_read_well(spread, factor, text):
    assert plus_minus(spread, factor) == text


def meetings(figures) -> list[str]:
    """Pairs of drawn names that overlap, and names that leave the picture; leader lines may cross."""
    found = []
    for figure in figures:
        figure.canvas.draw()  # which places the names
        renderer = figure.canvas.get_renderer()
        words = [text for axes in figure.axes for text in axes.texts]
        boxes = [Text.get_window_extent(text, renderer).padded(-1) for text in words]
        assert boxes
        for i, box in enumerate(boxes):
            out = box.x0 < 0 or box.x1 > figure.bbox.x1
            if out or any(box.overlaps(other) for other in boxes[:i]):
                found.append(words[i].get_text())
    return found


def test_labels_do_not_meet(monkeypatch):
    """Even where ten arms lie on one point."""
    rows = planted()
    drawn = [charts.data_figure(rows), charts.tradeoff_figure(rows), charts.weight_figure(rows)]
    drawn += [charts.cost_figure(rows, "se2", cost) for cost in ("seconds", "macs")]
    assert meetings(drawn) == []
    monkeypatch.setattr(labels, "apart", lambda places, *_: list(places))
    assert meetings([charts.data_figure(rows)])  # the control: left where they are, they do


def test_arms_look_different_and_families_alike():
    looks = [charts.style(arm) for arm in list(arms())]
    assert len({look["color"] for look in looks}) == len(looks)
    assert {charts.style(a)["marker"] for a in of_kind("hard")} == {"D"}


@pytest.mark.parametrize(
    ("lost", "missed", "told"),
    [(200.0, 0.7, 1), (200.0, 0.15, 0), (1.0, 0.7, 0), (-200.0, 0.7, 0), (200.0, None, 0)],
)
def test_a_penalty_fights_if_it_costs_nats_and_does_not_get_its_way(lost, missed, told):
    rows = [
        cell(
            arm=a,
            seed=s,
            elbo=600.0 + 5 * s * (-1) ** (a == "plain") - (lost if a != "plain" else 0),
        )
        for a in ("plain", "soft_wrong")
        for s in range(4)
    ]
    rows = changed(rows, {"encoder_error": missed, "grad_cosine": -0.4}, arm="soft_wrong")
    lines = contests(rows)
    assert len(lines) == told
    for line in lines:
        assert "soft_wrong at weight 1 fights the task: it costs 185" in line
        assert "by 0.70 of chance (gradients at cosine -0.40)" in line
    assert not contests([row for row in rows if row["seed"] == 0])  # one seed allows no interval
