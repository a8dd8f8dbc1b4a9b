"""An arm is one file: what it lacks is named, and one file more is one arm more everywhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from eqvae import config
from eqvae.comparison.advice import Advice, told, validate
from eqvae.comparison.advice.jobs import pilot_jobs
from eqvae.comparison.arms import KINDS, arms, load_arms, of_kind, pilots
from eqvae.comparison.charts import style
from eqvae.comparison.plan import Plan
from eqvae.comparison.report import write_page
from eqvae.comparison.sentences import sentences
from eqvae.comparison.table import read_table, write_table
from eqvae.comparison.work import work

from .test_cells import SMALL, TINY
from .test_design import design

MINE = """\
# @package _global_
# Mine: the harmonic network again, of another colour.
defaults:
  - override /model: harmonic
  - override /objective: elbo
  - override /latent: default

model:
  encoder: {frequency: 5}
  decoder: {frequency: 5, out_frequency: 14}

arm:
  label: do it my way
  kind: hard
  colour: "#123456"
  order: 25
  widths: [model.encoder.hidden, model.decoder.hidden]
  latent: [4, 2, 2, 2, 2]
  pilot: 5.0e-3
"""
Write = Callable[[str], Path]


@pytest.fixture
def write_arm(tmp_path, monkeypatch) -> Write:
    """Puts one file, configs/arm/mine.yaml, beside a few of those that are there."""
    folder = tmp_path / "configs"
    shutil.copytree(config.CONFIG_DIR, folder)
    for file in (folder / "arm").glob("*.yaml"):
        if file.stem not in ("plain", "augment", "hard"):
            file.unlink()
    monkeypatch.setattr(config, "CONFIG_DIR", folder)

    def write(text: str) -> Path:
        file = folder / "arm" / "mine.yaml"
        file.write_text(text)
        return file

    yield write
    load_arms.cache_clear()


def test_every_arm_has_its_own_place_and_colour():
    found = arms()
    assert set(found) == {file.stem for file in (config.CONFIG_DIR / "arm").glob("*.yaml")}
    for part in ("order", "colour", "label"):
        assert len({getattr(arm, part) for arm in found.values()}) == len(found), part
    assert {arm.kind for arm in found.values()} == set(KINDS)
    assert list(found)[0] == "plain" and list(found)[-1] == "hard"
    assert of_kind("relaxed") == ["relaxed", "relaxed_layers", "relaxed_bias"]


@pytest.mark.parametrize("part", ["label", "kind", "colour", "order", "widths", "latent"])
def test_a_part_that_an_arm_lacks_is_named_with_its_file(part, write_arm):
    content = yaml.safe_load(MINE)
    del content["arm"][part]
    file = write_arm(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=f"{file} must give arm.{part}, [^\n]*\\.$"):
        arms()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  - override /model: harmonic\n", "", "must choose its model: a line '- override /model"),
        ("  - override /objective: elbo\n", "", "must choose its objective"),
        ("arm:\n", "about:\n", "must describe the arm under the key arm: label, kind"),
        ("kind: hard", "kind: firm", "arm.kind, one of none, .*; got 'firm'"),
        ('"#123456"', "red", "arm.colour, .*; got 'red'"),
        ("order: 25", "order: last", "arm.order, a number.*; got 'last'"),
        ("[4, 2, 2, 2, 2]", "4x0", "arm.latent, the multiplicities .*; got '4x0'"),
        ("pilot: 5.0e-3", "pilot: fast", "arm.pilot as a learning rate above 0; got 'fast'"),
        ("pilot:", "rate:", "has an unknown part arm.rate; known are label, kind"),
    ],
)
def test_a_part_that_is_wrong_is_named_with_its_file(old, new, message, write_arm):
    assert old in MINE
    file = write_arm(MINE.replace(old, new))
    with pytest.raises(ValueError, match=f"{file}.*{message}"):
        arms()


def test_one_file_more_is_an_arm_of_comparison_report_and_advice(write_arm, tmp_path):
    assert "mine" not in arms(), "control"
    load_arms.cache_clear()
    write_arm(MINE)
    assert list(arms()).index("mine") == list(arms()).index("augment") + 1
    assert style("mine")["color"] == "#123456" and style("mine")["marker"] == "D"

    # compare
    block = {"arms": ["mine", "plain"], "scenarios": ["se2"], "images": [60], "seeds": [0, 1]}
    made = design(
        overrides=TINY,
        reference={"arm": "hard", "widths": SMALL},
        blocks={"scenarios": block},
        rates=[0.01],
    )
    plan = Plan(made, tmp_path / "work")
    jobs = plan.pending([cell for _, cell in made.cells(plan.rates())])
    assert {job.cell.arm: job.widths for job in jobs}["mine"] == SMALL, "as large as the reference"
    for job in jobs:
        work(plan, job.cell.name, "disabled")
    write_table(plan.rows(), tmp_path / "mine.parquet")
    rows = read_table(tmp_path / "mine.parquet")
    assert [row["status"] for row in rows] == ["finished"] * 4
    assert sum(row["arm"] == "mine" for row in rows) == 2

    # report
    chooser = validate(rows, repeats=1)
    page = write_page(rows, tmp_path / "page", chooser=chooser).read_text(encoding="utf-8")
    assert '<td class="name">mine</td>' in page and "mine, do it my way" in page
    assert "mine" in " ".join(sentences(rows)["Scenario by scenario"])

    # advise
    assert "mine" in chooser.always and pilots()["mine"] == 5e-3
    atlas = {"name": "advise", "reference": made.reference, "overrides": TINY, "rates": [0.01]}
    atlas |= {"tuning": made.tuning, "blocks": {}}
    settings = dict(pilot_jobs(atlas, [], "se2", images=40, repeats=1))
    assert list(settings) == ["plain", "augment", "mine", "hard"]
    assert settings["mine"]["optimizer"]["lr"] == 5e-3
    advice = Advice("mine", {"mine": 1.0}, {"mine": 0.0}, {"mine": 0.0}, {"mine": 1.0})
    assert told(advice, [], [])[0].startswith("Recommended: do it my way (arm=mine)")
