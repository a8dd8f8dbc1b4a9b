"""Defaults of Lightning's and W&B's that do not reach the user."""

import json
import math
from pathlib import Path

import pytest
import wandb

from eqvae.training.divergence import Diverged
from eqvae.training.loggers import wandb_logger
from eqvae.training.run import train, write_metrics
from tests.training.runs import FAMILIES, NO_PICTURES, tiny_run

ONE_BATCH = [NO_PICTURES, "prior=normal", "trainer.limit_train_batches=1"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_in_mixed_precision(family: str, tmp_path: Path) -> None:
    """Lightning clips no gradients of fused steps there, and ours are fused."""
    precision = "trainer.precision=bf16-mixed"
    run = tiny_run(tmp_path, f"model={family}", *ONE_BATCH, precision)
    assert math.isfinite(train(run)["test/elbo"])
    assert run.config["optimizer"]["fused"] is True


def test_training_without_an_end_is_ended_by_its_time(tmp_path: Path) -> None:
    how = ["model=plain", *ONE_BATCH, "trainer.max_epochs=-1", "trainer.max_time=00:00:00:01"]
    assert train(tiny_run(tmp_path, *how))["train/epochs"] >= 1


def test_a_diverged_run_leaves_no_metrics(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "model=plain", NO_PICTURES, "optimizer.lr=1e30")
    with pytest.raises(Diverged, match=r"not finite at step \d. Lower optimizer.lr"):
        train(run)
    assert not (tmp_path / "metrics.json").exists()


def test_metrics_stay_json(tmp_path: Path) -> None:
    write_metrics(tmp_path / "m.json", {"a": 1.0, "b": math.nan, "c": math.inf})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 1.0, "b": None, "c": None}


@pytest.mark.parametrize(
    ("variable", "given", "meant"),
    [
        ("disabled", None, "disabled"),
        ("offline", None, "offline"),
        ("dryrun", None, "offline"),
        (None, None, "offline"),
        ("", None, "offline"),
        ("disabled", "offline", "offline"),
        ("offline", "disabled", "disabled"),
        ("online", "offline", "offline"),
    ],
)
def test_wandb_mode_is_obeyed(
    variable: str | None, given, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is None:
        monkeypatch.delenv("WANDB_MODE", raising=False)
    else:
        monkeypatch.setenv("WANDB_MODE", variable)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    asked = []
    monkeypatch.setattr(wandb, "init", lambda **how: asked.append(how) or wandb.sdk.wandb_run.Run)
    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "define_metric", lambda *a, **k: None)
    monkeypatch.setattr("eqvae.training.loggers.WandbLogger", lambda **how: how)
    logger = wandb_logger(given, folder=tmp_path)
    assert (logger is None) == (meant == "disabled")
    assert [(how["mode"], how["project"]) for how in asked] == [(meant, "mine")] * len(asked)


def test_an_unknown_wandb_mode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "off")
    with pytest.raises(
        ValueError, match="WANDB_MODE must be offline, online or disabled; got 'off'"
    ):
        wandb_logger()


def test_runs_of_one_process_keep_their_own_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    for name in ("first", "second"):
        train(tiny_run(tmp_path / name, "model=plain", "logger=wandb", *ONE_BATCH))
    first, second = (tmp_path / name / "wandb" / "artifacts" for name in ("first", "second"))
    assert first.is_dir() and second.is_dir()
