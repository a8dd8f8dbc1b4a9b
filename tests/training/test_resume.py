"""A run goes on where it stopped: what may change takes effect, nothing is forgotten or taken silently."""

import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch

from eqvae.training.checkpoint import read_checkpoint
from eqvae.training.resume import CHANGEABLE, changed
from eqvae.training.run import METRICS, prepare, stored_config, train
from tests.training.runs import NO_PICTURES, tiny_run

LAST, BEST = (f"checkpoints/{name}.ckpt" for name in ("last", "best"))
PLAIN = ["model=plain", NO_PICTURES, "prior=normal"]


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(tiny_run(folder, *PLAIN, "trainer.max_epochs=2", "scheduler=constant"))
    return folder


@pytest.fixture
def run(_trained: Path, tmp_path: Path) -> Path:
    """A finished run of two epochs of four steps; a copy, so that its checkpoints speak of another folder."""
    return shutil.copytree(_trained, tmp_path / "run")


def go_on(folder: Path, **changes) -> dict[str, float]:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return train(prepare(changed(stored_config(folder), keys), folder, resume=True))


def edit(path: Path, change) -> None:
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)


# --- what may change


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image.radius", 3),
        ("model.encoder.width", 16),
        ("model", "harmonic"),
        ("data", "npz"),
        ("data/pose", "upright"),
        ("data.batch_size", 10),
        ("data.source.num_images", 50),
        ("objective.beta", 2.0),
        ("seed", 5),
        ("optimizer.weight_decay", 0.1),
        ("scheduler.warmup", 0.5),
        ("trainer.precision", "64-true"),
        ("trainer.max_epoch", 5),
        ("run_dir", "elsewhere"),
        ("name", "other"),
    ],
)
def test_other_keys_are_refused_by_name(key: str, value, run: Path) -> None:
    said = f"{key} can't change when a run is resumed: only trainer.max_epochs, "
    with pytest.raises(ValueError, match=re.escape(said)):
        changed(stored_config(run), {key: value})


def test_a_key_that_keeps_its_value_is_no_change(run: Path) -> None:
    config = stored_config(run)
    assert changed(config, {"seed": config["seed"], "data.batch_size": 20}) == config


def test_what_may_change_is_written_and_the_rest_stays(run: Path) -> None:
    config = stored_config(run)
    new = changed(config, {"logger.mode": "offline", "trainer.max_epochs": 7, "logger": "wandb"})
    assert new["logger"]["mode"] == "offline" and new["trainer"]["max_epochs"] == 7
    assert {k: v for k, v in new.items() if k not in ("logger", "trainer")} == {
        k: v for k, v in config.items() if k not in ("logger", "trainer")
    }
    assert "optimizer.lr" in CHANGEABLE and config["trainer"]["max_epochs"] == 2


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_new_learning_rate_is_used(schedule: str, tmp_path: Path) -> None:
    train(tiny_run(tmp_path, *PLAIN, "trainer.max_epochs=1", f"scheduler={schedule}"))
    go_on(tmp_path, trainer__max_epochs=2, optimizer__lr=1e-9)
    stored = read_checkpoint(tmp_path / LAST)
    (group,) = stored["optimizer_states"][0]["param_groups"]
    assert group["lr"] <= 1e-9 and group["initial_lr"] == 1e-9
    assert stored["lr_schedulers"][0]["base_lrs"] == [1e-9]
    assert stored["lr_schedulers"][0]["last_epoch"] == 8  # the schedule goes on, it does not begin


def test_other_images_are_refused(run: Path) -> None:
    config = stored_config(run)
    config["data"]["source"]["num_images"] = 60
    with pytest.raises(
        ValueError, match=r"data must be the images .* image.count was 80 and is 48"
    ):
        prepare(config, run, resume=True)


# --- moved and copied


def best_epoch(folder: Path) -> int:
    return read_checkpoint(folder / BEST)["epoch"]


@pytest.mark.parametrize("original", ["stays", "is gone"])
def test_a_worse_epoch_does_not_replace_the_best_of_a_copy(
    original: str, run: Path, tmp_path: Path
) -> None:
    def unbeatable(checkpoint) -> None:
        for key, state in checkpoint["callbacks"].items():
            if "'monitor': 'val/elbo'" in key and "ModelCheckpoint" in key:
                top = torch.tensor(1e9)
                state |= {"best_model_score": top, "current_score": top, "kth_value": top}
                state["best_k_models"] = dict.fromkeys(state["best_k_models"], top)

    for name in (LAST, BEST):
        edit(run / name, unbeatable)
    before, other = best_epoch(run), tmp_path / "other"
    (shutil.copytree if original == "stays" else shutil.move)(run, other)
    metrics = go_on(other, trainer__max_epochs=3)
    assert best_epoch(other) == before and metrics["val/elbo"] == 1e9
    assert read_checkpoint(other / LAST)["epoch"] == 2


def test_a_best_that_was_not_copied_is_made_anew(run: Path) -> None:
    (run / BEST).unlink()
    go_on(run, trainer__max_epochs=3)
    assert best_epoch(run) == 2


# --- finished, stopped by time or patience


def test_a_finished_run_says_that_nothing_is_left(run: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"nothing is left to train: 2 epochs are done, .* raise it"
    ):
        go_on(run)
    assert read_checkpoint(run / LAST)["global_step"] == 8


def test_fewer_epochs_than_are_done_end_the_run_as_it_is(run: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 epochs are done, trainer.max_epochs=1; raise it"):
        go_on(run, trainer__max_epochs=1)
    assert read_checkpoint(run / LAST)["global_step"] == 8


def test_each_sitting_has_its_own_time(run: Path) -> None:
    def exhausted(checkpoint) -> None:
        checkpoint["callbacks"]["Timer"] = {"time_elapsed": {"train": 1e6}}

    edit(run / LAST, exhausted)
    go_on(run, trainer__max_epochs=3, trainer__max_time="00:01:00:00")
    assert read_checkpoint(run / LAST)["global_step"] == 12


def test_early_stopping_stays_stopped_until_its_patience_is_raised(run: Path) -> None:
    def stopped(checkpoint) -> None:
        for key, state in checkpoint["callbacks"].items():
            if key.startswith("EarlyStopping"):
                state |= {"stopped_epoch": 1, "wait_count": 20, "best_score": torch.tensor(1e9)}

    edit(run / LAST, stopped)
    with pytest.warns(
        UserWarning, match=r"early stopping ended it after .*early_stopping.patience"
    ):
        go_on(run, trainer__max_epochs=4)
    assert read_checkpoint(run / LAST)["global_step"] == 8
    go_on(run, trainer__max_epochs=4, callbacks__early_stopping__patience=30)
    assert read_checkpoint(run / LAST)["global_step"] == 16


# --- damaged


def flipped(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return (
        whole[:middle]
        + bytes(255 - b for b in whole[middle : middle + 200])
        + whole[middle + 200 :]
    )


DAMAGE = {
    "half": lambda whole: whole[: len(whole) // 2],
    "start": lambda whole: whole[:100],
    "almost": lambda whole: whole[:-10],
    "empty": lambda whole: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "text": lambda whole: b"not a checkpoint\n",
}


def damage(path: Path, kind: str) -> None:
    path.write_bytes(DAMAGE[kind](path.read_bytes()))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_torn_last_checkpoint_of_a_killed_run_is_passed_by(kind: str, run: Path) -> None:
    (run / METRICS).unlink()  # killed before it had finished
    damage(run / LAST, kind)
    step = read_checkpoint(run / BEST)["global_step"]
    said = rf"last.ckpt is damaged or cut short; the run continues from best.ckpt, of step {step}\."
    with pytest.warns(UserWarning, match=said):
        prepared = prepare(stored_config(run), run, resume=True)
    assert prepared.resume_from == run / BEST


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_of_a_finished_run_is_refused(kind: str, run: Path) -> None:
    damage(run / LAST, kind)
    with pytest.raises(
        ValueError, match=r"last.ckpt is damaged .* Delete it to continue from best"
    ):
        prepare(stored_config(run), run, resume=True)
    (run / LAST).unlink()
    with pytest.warns(
        UserWarning, match="last.ckpt is not there; the run continues from best.ckpt"
    ):
        prepare(stored_config(run), run, resume=True)


def test_a_run_without_its_last_checkpoint_has_one_again_though_nothing_was_left(run: Path) -> None:
    (run / METRICS).unlink()  # killed in its test
    best, last = (read_checkpoint(run / part) for part in (BEST, LAST))
    assert best["global_step"] == last["global_step"]
    (run / LAST).unlink()
    with pytest.warns(UserWarning):
        go_on(run)
    assert read_checkpoint(run / LAST)["global_step"] == last["global_step"]


def test_without_a_whole_checkpoint_there_is_nothing_to_continue(run: Path) -> None:
    damage(run / LAST, "half")
    damage(run / BEST, "empty")
    with pytest.raises(ValueError, match="no other checkpoint in its folder is whole"):
        prepare(stored_config(run), run, resume=True)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(FileNotFoundError, match="so there is nothing to continue"):
        prepare(stored_config(run), run, resume=True)


def test_a_damaged_best_checkpoint_is_made_anew(run: Path) -> None:
    damage(run / BEST, "half")
    go_on(run, trainer__max_epochs=3)
    assert best_epoch(run) == 2


def test_the_checkpoint_of_another_model_is_refused(run: Path) -> None:
    edit(run / LAST, lambda c: c["state_dict"].update(extra=torch.zeros(1)))
    with pytest.raises(
        ValueError, match="holds another model than config.yaml describes, as extra"
    ):
        prepare(stored_config(run), run, resume=True)


@pytest.mark.parametrize("part", ["optimizer_states", "loops", "callbacks", "global_step"])
def test_a_checkpoint_without_the_state_of_training_is_refused(part: str, run: Path) -> None:
    edit(run / LAST, lambda c: c.pop(part))
    with pytest.raises(ValueError, match="last.ckpt"):
        prepare(stored_config(run), run, resume=True)


def test_a_checkpoint_is_whole_at_every_moment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it writes the next checkpoint, a run still has the one of before."""

    def killed(checkpoint, path) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = prepare(changed(stored_config(run), {"trainer.max_epochs": 3}), run, resume=True)
        monkeypatch.setattr(torch, "save", killed)
        with pytest.raises(BaseException):  # noqa: B017, PT011
            train(prepared)
    assert read_checkpoint(run / LAST)["global_step"] == 8
