"""Runs: the folder they leave, exact continuation, and mistakes found before training starts."""

import csv
import json
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

import eqvae
from eqvae.training.ema import ExponentialMovingAverage
from eqvae.training.interruption import Interrupted
from eqvae.training.loggers import LastingWandbLogger
from eqvae.training.run import prepare, stored_config, train
from tests.shared import made_once
from tests.training.runs import FAMILIES, NO_PICTURES, SOFT, resumed, tiny_config, tiny_run


class SignalAt(pl.Callback):
    """Send a signal to ourselves at one step."""

    def __init__(self, step: int, signum: int):
        self.step, self.signum = step, signum

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.signum)


def comparable(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.endswith("seconds")}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_run_folder_says_it_all(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = tiny_run(folder, "prior=orbit", "data.pose.size=37", "trainer.limit_train_batches=2")
    metrics = train(run)
    assert json.loads((folder / "metrics.json").read_text()) == pytest.approx(metrics)
    assert {"test/elbo", "test/kl", "test/kl/psi1", "test/free_energy", "val/elbo"} <= set(metrics)
    assert {"test/fitted/elbo", "test/fitted/kl/psi1", "test/prior_gap", "prior/seconds"} <= set(
        metrics
    )
    assert stored_config(folder) == run.config
    assert run.config["image"] == {
        "size": 37,
        "channels": 1,
        "count": len(run.datamodule.train),
        "background": [0.0],
        "radius": None,
    }
    made = {path.name for path in (folder / "checkpoints").iterdir()}
    assert made == {"best.ckpt", "last.ckpt"}
    made = {path.name for path in (folder / "pictures").iterdir()}
    assert made == {"reconstructions.png", "samples.png", "clusters.png", "orbit.png", "orbit.gif"}
    table = rows(folder)
    assert float(table[0]["val/elbo"]) == pytest.approx(metrics["val/elbo"])
    assert float(table[0]["train/loss"]) == pytest.approx(-float(table[0]["train/elbo"]), rel=1e-3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict]]:
    """Folder and metrics of a family's run without a break, trained when first asked for."""

    def of(family: str) -> tuple[Path, dict]:
        folder = made_once(
            tmp_path_factory, f"whole-{family}", lambda new: train(tiny_run(new, *how(family)))
        )
        return folder, comparable(json.loads((folder / "metrics.json").read_text()))

    return of


def how(family: str) -> list[str]:
    """One epoch more than the one that is broken off for the default family, as all share the loop."""
    epochs = 3 if family == "harmonic" else 2
    return [NO_PICTURES, f"model={family}", f"trainer.max_epochs={epochs}"]


@pytest.mark.parametrize(  # the middle of the second epoch of 4 batches; its last batch
    ("family", "step"), [*((family, 5) for family in FAMILIES), ("harmonic", 7)]
)
def test_resumed_equals_uninterrupted(
    family: str, step: int, whole: Callable, tmp_path: Path
) -> None:
    run = tiny_run(tmp_path, *how(family))
    run.trainer.callbacks.insert(0, SignalAt(step, signal.SIGTERM))
    with pytest.raises(Interrupted) as stop:
        train(run)
    assert stop.value.signal == signal.SIGTERM
    assert stop.value.checkpoint == tmp_path / "checkpoints" / "last.ckpt"
    assert run.trainer.global_step == (6 if step == 5 else 8)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    eqvae.load_vae(stop.value.checkpoint)
    folder, metrics = whole(family)
    assert comparable(train(resumed(tmp_path))) == metrics

    tables = [(part / "metrics.csv").read_bytes() for part in (folder, tmp_path)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize("behind", [False, True])
def test_the_log_of_a_killed_run_is_that_of_one_that_was_not(
    file: str, behind: bool, whole: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or behind a checkpoint of the second epoch."""
    run = tiny_run(tmp_path, *how("harmonic"))
    save, seen = run.trainer.save_checkpoint, []

    def killed(path, *more, **kinds) -> None:
        seen.append(Path(path).name)
        last = seen.count(file) == 2
        if behind or not last:
            save(path, *more, **kinds)
        if last:
            raise SystemExit

    monkeypatch.setattr(run.trainer, "save_checkpoint", killed)
    with pytest.raises(SystemExit):
        train(run)
    monkeypatch.undo()
    folder, metrics = whole("harmonic")
    assert comparable(train(resumed(tmp_path))) == metrics
    tables = [(part / "metrics.csv").read_bytes() for part in (folder, tmp_path)]
    assert tables[0] == tables[1]


def test_resume_is_exact_with_averaged_weights(tmp_path: Path) -> None:
    how = [NO_PICTURES, "callbacks=ema", "trainer.max_epochs=2"]
    whole = comparable(train(tiny_run(tmp_path / "whole", *how)))
    run = tiny_run(tmp_path / "parts", *how)
    run.trainer.callbacks.insert(0, SignalAt(5, signal.SIGINT))
    with pytest.raises(Interrupted):
        train(run)
    assert comparable(train(resumed(tmp_path / "parts"))) == whole
    assert comparable(train(tiny_run(tmp_path / "plain", NO_PICTURES, how[2]))) != whole


def test_a_finished_run_can_be_prolonged(tmp_path: Path) -> None:
    how = [NO_PICTURES, "scheduler=constant"]
    whole = comparable(train(tiny_run(tmp_path / "whole", *how, "trainer.max_epochs=2")))
    train(tiny_run(tmp_path / "parts", *how, "trainer.max_epochs=1"))
    config = stored_config(tmp_path / "parts")
    config["trainer"]["max_epochs"] = 2
    assert comparable(train(prepare(config, tmp_path / "parts", resume=True))) == whole
    tables = [(tmp_path / part / "metrics.csv").read_bytes() for part in ("whole", "parts")]
    assert tables[0] == tables[1]


def test_same_seed_same_run_other_seed_other_run(tmp_path: Path) -> None:
    a, b, c = (
        comparable(train(tiny_run(tmp_path / name, NO_PICTURES, f"seed={seed}")))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert a == b
    assert a["test/elbo"] != c["test/elbo"]


def test_averaged_weights_follow_their_formula_and_are_loaded(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, NO_PICTURES, "callbacks=ema", "callbacks.ema.decay=0.5")
    seen: list[torch.Tensor] = []
    name, parameter = next(iter(run.module.vae.named_parameters()))

    class Watch(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            seen.append(parameter.detach().clone())

    first = parameter.detach().clone()
    run.trainer.callbacks.insert(0, Watch())
    train(run)
    average = first
    for n, value in enumerate(seen, start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * value
    loaded = dict(eqvae.load_vae(tmp_path).named_parameters())[name]
    torch.testing.assert_close(loaded.detach(), average)
    assert not torch.equal(loaded, parameter)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_is_checked(decay: float) -> None:
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\)"):
        ExponentialMovingAverage(decay)


def test_wandb_offline_stays_in_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    train(tiny_run(tmp_path, "logger=wandb", "trainer.limit_train_batches=1"))
    kept = list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(kept) == 1
    media = {path.suffix for path in (tmp_path / "wandb").glob("offline-run-*/files/media/**/*")}
    assert {".png", ".gif"} <= media


class Gone:
    """A W&B run whose service is no longer there."""

    config = SimpleNamespace(update=lambda *args, **kwargs: None)

    def __init__(self, answers: int):
        self.answers = answers

    def _answer(self, *args: object, **kwargs: object) -> None:
        self.answers -= 1
        if self.answers < 0:
            raise ConnectionResetError("Connection lost")

    log = define_metric = log_artifact = finish = _answer


def test_a_run_goes_on_without_wandb_and_says_so(tmp_path: Path) -> None:
    logger = LastingWandbLogger(save_dir=tmp_path, experiment=Gone(answers=1))
    logger.log_metrics({"train/loss": 1.0}, step=1)
    assert not logger.lost
    with pytest.warns(
        UserWarning, match="Weights & Biases was lost .Connection.*wandb sync"
    ) as told:
        logger.log_metrics({"train/loss": 0.5}, step=2)
        logger.log_image("pictures/orbit", [Image.new("L", (2, 2))])
        logger.close(None, tmp_path / "config.yaml")
    assert len(told) == 1 and "metrics.csv" in logger.lost


def test_wandb_online_without_a_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    with pytest.raises(ValueError, match="logger.mode=online needs a Weights & Biases account"):
        tiny_run(tmp_path / "run", "logger=wandb", "logger.mode=online")


def test_pictures_are_written_during_training_too(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "callbacks.pictures.every_n_epochs=1")
    run.trainer.callbacks.append(SignalAt(0, signal.SIGINT))
    with pytest.raises(Interrupted):
        train(run)
    assert not (tmp_path / "pictures").exists()  # stopped before the first epoch's end
    run = resumed(tmp_path)
    run.trainer.fit(run.module, run.datamodule, ckpt_path=run.resume_from, weights_only=True)
    assert len(list((tmp_path / "pictures").iterdir())) == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.accelerator=tpus", "trainer.accelerator must be auto, gpu or one of"),
        ("trainer.max_epochs=many", "trainer.max_epochs must be int or null; got 'many'"),
        ("+trainer.max_epoch=3", "trainer.max_epoch is not an argument .* 'max_epochs'"),
        ("+modle=3", "modle is not a part of the configuration"),
        ("seed=x", "seed must be a whole number"),
        ("optimizer.lr=fast", "optimizer"),
        ("+optimizer.rl=1", "optimizer.rl is not an argument of torch.optim.AdamW"),
        ("optimizer._target_=torch.load", "optimizer: _target_ must start with"),
        ("scheduler.warmup=fast", "scheduler.warmup must be float"),
        ("callbacks.pictures.num_images=0", "callbacks.pictures: num_images must be 1 or more"),
        ("trainer.precision=3", "trainer"),
    ],
)
def test_mistakes_are_named_before_training(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(tiny_config(override), tmp_path / "run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_accelerator_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trainer.accelerator=cuda is not on this machine"):
        prepare(tiny_config("trainer.accelerator=cuda"), tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"run_dir=.*file/run can't be written \(Not a directory\)"):
        prepare(tiny_config(), tmp_path / "file" / "run")


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    train(tiny_run(tmp_path, NO_PICTURES, "trainer.limit_train_batches=1"))
    with pytest.raises(ValueError, match="already holds a run. Continue it with resume="):
        tiny_run(tmp_path)


def test_objects_larger_than_the_model_draws_are_told_before_training(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"image.radius leaves parts .* up to 4.0 px .* Set image"):
        tiny_run(tmp_path / "small", "model=harmonic", "image.radius=4")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny_run(tmp_path / "large", "model=harmonic", "image.radius=8")
        tiny_run(tmp_path / "plain", "model=plain", "image.radius=4")


def test_sizes_that_are_clamped_are_told_before_training(tmp_path: Path) -> None:
    scaled = ("model=harmonic", "symmetry=sim2", "latent.scale=true", "data/pose=scaled")
    scaled += ("data.pose.scales=[0.6, 1.5]",)
    with pytest.warns(
        UserWarning, match=r"image.radius fits few .* log-scales are clamped. Set im"
    ):
        tiny_run(tmp_path / "small", *scaled, "image.radius=3")


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config.yaml, so there is nothing"):
        stored_config(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes_fast_dev_run(family: str, tmp_path: Path) -> None:
    """With the penalties of symmetry, where they can judge the family."""
    soft = [] if family in (*SOFT, "pose") else ["objective=elbo_soft"]
    train(tiny_run(tmp_path, f"model={family}", *soft, "trainer.fast_dev_run=true"))
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("family", [*SOFT, "pose"])
def test_a_soft_objective_that_cannot_judge_is_refused_before_training(
    family: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="objective"):
        tiny_run(tmp_path, f"model={family}", "objective=elbo_soft")
