"""Cells train, measure, diverge and repeat; a comparison resumes."""

import math

import pytest

from eqvae.comparison.arms import arms
from eqvae.comparison.cell import cell_config, run_cell
from eqvae.comparison.design import Cell
from eqvae.comparison.plan import Plan
from eqvae.comparison.table import COLUMNS
from eqvae.config import build, compose
from eqvae.training.prior import FitOrbitPrior, KeepPrior
from eqvae.training.run import prepare

from .test_design import design

TINY = [
    *("data=sprites", "data.source.num_images=200", "data.source.shapes=[flag,zed]"),
    *("latent.multiplicities=[2,2]", "data.batch_size=20"),
    *("trainer.max_epochs=-1", "+trainer.max_steps=4", "+trainer.val_check_interval=2"),
    "trainer.check_val_every_n_epoch=null",
]
SMALL = {"model.encoder.hidden": 4, "model.decoder.hidden": 4}


@pytest.fixture(scope="module")
def row():
    return run_cell(cell_config(Cell("hard", "se2", 60, lr=0.01), TINY, SMALL))


def test_a_cell_measures_everything(row):
    assert row["status"] == "finished"
    of_the_design = {
        "block",
        "arm",
        "scenario",
        "images",
        "match",
        "weight",
        "seed",
        "cell",
        "design",
    }
    assert set(row) == set(COLUMNS) - of_the_design - {"step", "reason"}
    assert row["dial"] is None and all(math.isfinite(v) for k, v in row.items() if type(v) is float)
    assert row["iwae"] > row["elbo"], "a tighter bound"


@pytest.mark.parametrize("arm", ["hard", "plain"])
def test_cells_keep_the_prior_that_they_are_trained_with(arm):
    """Rows of committed tables were measured so; control: a run of its own fits one."""
    of_a_cell, of_a_run = cell_config(Cell(arm, "se2", 60), TINY), compose([f"arm={arm}"])
    assert isinstance(build(of_a_cell["prior"], path="prior"), KeepPrior)
    assert isinstance(build(of_a_run["prior"], path="prior"), FitOrbitPrior)


def test_equivariance_errors_tell_hard_from_plain(row):
    plain = run_cell(cell_config(Cell("plain", "se2", 60, lr=0.001), TINY, {
        "model.encoder.width": 4, "model.decoder.width": 4,
    }))  # fmt: skip
    for name in ("encoder_error", "decoder_error", "encoder_shift_error"):
        assert row[name] < 0.1 < 0.5 < plain[name]


def test_the_same_seed_gives_the_same_row(row):
    again = run_cell(cell_config(Cell("hard", "se2", 60, lr=0.01), TINY, SMALL))
    assert {k: v for k, v in again.items() if not k.endswith("seconds")} == {
        k: v for k, v in row.items() if not k.endswith("seconds")
    }
    other = run_cell(cell_config(Cell("hard", "se2", 60, lr=0.01, seed=1), TINY, SMALL))
    assert other["elbo"] != row["elbo"], "control: another seed"


def test_a_cell_that_diverges_is_recorded_with_its_step():
    config = cell_config(Cell("plain", "se2", 60, lr=1e30), TINY)
    found = run_cell(config)
    assert found["status"] == "diverged" and 1 <= found["step"] <= 4 and "elbo" not in found


def test_the_weight_scales_every_penalty():
    one, ten = (
        cell_config(Cell("soft_sum", "se2", 60, lr=0.01, weight=w), TINY)["objective"]["penalties"]
        for w in (1.0, 10.0)
    )
    assert len(one) == 3
    assert all(ten[name]["weight"] == pytest.approx(10 * one[name]["weight"]) for name in one)


def test_the_price_of_residuals_is_shared_by_the_cell_s_images(tmp_path):
    config = cell_config(Cell("relaxed", "se2", 60, lr=0.01), TINY)
    term = prepare(config, tmp_path).config["objective"]["penalties"]["residual"]["term"]
    assert term["images"] == 60


def test_limits_and_seeds_reach_the_run():
    config = cell_config(Cell("plain", "lit", 60, lr=0.01, seed=7), TINY)
    assert config["data"]["limit"] == 60 and config["optimizer"]["lr"] == 0.01
    assert config["seed"] == config["data"]["seed"] == config["data"]["pose"]["seed"] == 7


def test_a_plan_matches_sizes_and_forgets_nothing(tmp_path):
    made = design(
        overrides=TINY, reference={"arm": "hard", "widths": {**SMALL}}, rates=[0.01, 0.02]
    )
    plan = Plan(made, tmp_path)
    jobs = plan.pending(made.trials())
    assert [job.cell.arm for job in jobs] == ["plain", "plain", "hard", "hard"]
    assert jobs[2].widths == jobs[3].widths == SMALL
    assert plan.job(jobs[0].cell.name) == jobs[0] and set(jobs[0].widths) == set(
        arms()["plain"].widths
    )
    for job, value in zip(jobs, (1.0, 2.0, 4.0, 3.0), strict=True):
        plan.results.put(job.cell.name, {"status": "finished", "val_elbo": value})
    again = Plan(made, tmp_path)
    assert again.pending(made.trials()) == [] and again.rates() == {"plain": 0.02, "hard": 0.01}
    assert [row["block"] for row in again.rows()] == ["tuning"] * 4


def test_a_table_holds_the_arms_that_are_tuned_and_waits_for_none(tmp_path):
    made = design(
        overrides=TINY, reference={"arm": "hard", "widths": {**SMALL}}, rates=[0.01, 0.02]
    )
    plan = Plan(made, tmp_path)
    part = made.part({"arms": ["hard"]})
    for cell in part.trials():
        plan.results.put(cell.name, {"status": "finished", "val_elbo": -cell.lr})
    done = [cell for _, cell in part.cells(plan.rates(["hard"]))]
    plan.results.put(done[0].name, {"status": "finished", "elbo": 7.0})
    assert [row["block"] for row in plan.rows()] == ["tuning", "tuning", "scenarios"]
    assert plan.rows()[-1]["elbo"] == 7.0 and plan.rows()[-1]["lr"] == 0.01
    for cell in made.part({"arms": ["plain"]}).trials():
        plan.results.put(cell.name, {"status": "diverged", "step": 3})
    assert len(plan.rows()) == 5, (
        "an arm that diverges at every rate takes no other arm's rows along"
    )
    with pytest.raises(ValueError, match="no learning rate at which plain can be trained"):
        plan.rates()


def test_cells_of_another_design_are_refused_not_mixed(tmp_path):
    made = design(overrides=TINY, reference={"arm": "hard", "widths": {**SMALL}})
    plan = Plan(made, tmp_path)
    done = {"status": "finished", "val_elbo": 1.0, "arm": "hard", "design": made.digest("hard")}
    name = made.trials()[-1].name
    plan.results.put(name, done)
    plan.refuse_other_designs()
    same = design(overrides=TINY, reference=made.reference, own={"plain": ["seed=1"]})
    Plan(same, tmp_path).refuse_other_designs()
    for changes in ({"own": {"hard": ["seed=1"]}}, {"overrides": [*TINY, "seed=1"]}):
        other = design(**{"overrides": TINY, "reference": made.reference, **changes})
        with pytest.raises(ValueError, match="1 cells in .* other settings, such as hard-"):
            Plan(other, tmp_path).refuse_other_designs()
