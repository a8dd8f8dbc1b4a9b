"""Continuing a run: from which checkpoint, and with which changes.

A few keys may have another value than before (`CHANGEABLE`), and take effect; the folder may have been moved
or copied. How the batches go on is in `batches.py`.
"""

import shutil
import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer

from eqvae.config import compose
from eqvae.files import written
from eqvae.training.checkpoint import read_checkpoint, weights
from eqvae.training.checks import LAST, METRICS
from eqvae.training.loggers import MetricsCSV
from eqvae.training.module import TrainingModule

CHANGEABLE = (
    *("trainer.max_epochs", "trainer.max_steps", "trainer.max_time", "trainer.accelerator"),
    *("optimizer.lr", "callbacks.early_stopping.patience", "logger"),
    *("data.num_workers", "data.source.path", "data.source.root", "data.source.passthrough"),
    "data.source.download",
)
_STATE = {  # what Lightning keeps beside the weights
    "callbacks": dict, "loops": dict, "optimizer_states": list, "lr_schedulers": list,
    "epoch": int, "global_step": int,
}  # fmt: skip


def changed(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A run's stored configuration with what is changed when it is resumed.

    Args:
        config: plain, as the run was trained with.
        changes: key -> value, such as {"trainer.max_epochs": 40}; "logger" names a choice.

    Raises:
        ValueError: if a key can't change; one that keeps its value is no change.
    """
    from omegaconf import OmegaConf

    new = OmegaConf.create(deepcopy(config))
    for key, value in sorted(changes.items(), key=lambda change: change[0] != "logger"):
        if not _may_change(key):
            if OmegaConf.select(new, key.replace("/", "."), default="???") == value:
                continue
            raise ValueError(
                f"{key} can't change when a run is resumed: only {', '.join(CHANGEABLE)} can. "
                "Start a new run instead."
            )
        if key == "logger":
            value = compose([f"logger={value}"])["logger"]
        OmegaConf.update(new, key, value)
    return OmegaConf.to_container(new)


def _may_change(key: str) -> bool:
    return key in CHANGEABLE or key.startswith("logger.")


def check_same_data(before: Mapping[str, Any], now: Mapping[str, Any], signals: str) -> None:
    """Refuse to resume on other data than those of before, as far as their size and number tell.

    Args:
        before: `image` of the stored configuration, filled in if training had begun.
        now: the same of the data found.
        signals: what the data are: images, structures.

    Raises:
        ValueError: if they differ.
    """
    told = {
        key: (before.get(key), now[key])
        for key in ("size", "channels", "count")
        if before.get(key) not in (None, "???", now[key])
    }
    if told:
        what = ", ".join(f"image.{key} was {old} and is {new}" for key, (old, new) in told.items())
        raise ValueError(
            f"data must be the {signals} that the run was trained on: {what}. "
            "Set data.source.path to where they are, or start a new run."
        )


def checkpoint_to_resume(folder: Path) -> Path:
    """The last checkpoint of a run folder; the newest whole one where a run was killed as it wrote it.

    Of a finished run a damaged checkpoint is not the trace of a killed one, and is refused.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if none is whole, or the last one of a finished run is not.
    """
    last = folder / LAST
    if last.is_file() and _is_whole(last):
        return last
    others = {p: steps_of(p) for p in sorted(last.parent.glob("*.ckpt")) if p != last}
    whole = {path: steps for path, steps in others.items() if steps is not None}
    what = "is damaged or cut short" if last.is_file() else "is not there"
    if not last.is_file() and not others:
        raise FileNotFoundError(
            f"resume must name a run folder; {folder} holds no {LAST}, "
            "so there is nothing to continue."
        )
    if not whole:
        raise ValueError(
            f"{last} {what}, and no other checkpoint in its folder is whole: the run can't continue. "
            "Start it again with another run_dir."
        )
    newest = max(whole, key=whole.__getitem__)
    if last.is_file() and (folder / METRICS).is_file():
        raise ValueError(
            f"{last} {what}, though the run had finished. Delete it to continue from "
            f"{newest.name}, of step {whole[newest]}, or copy it again."
        )
    warnings.warn(
        f"{last} {what}; the run continues from {newest.name}, of step {whole[newest]}.",
        stacklevel=3,
    )
    return newest


def put_in_place(checkpoint: Path, folder: Path) -> None:
    """Make the checkpoint that a run goes on from its last one: none follows if nothing is left to train."""
    last = folder / LAST
    if checkpoint != last:
        with written(last) as partial:
            shutil.copyfile(checkpoint, partial)


def _is_whole(path: Path) -> bool:
    return steps_of(path) is not None


def steps_of(path: Path) -> int | None:
    """How many steps a checkpoint had trained; None if it is damaged or of something else."""
    try:
        return int(read_checkpoint(path)["global_step"])
    except (ValueError, KeyError, TypeError):
        return None


class TakeUp(pl.Callback):
    """Brings what a checkpoint remembers to where the run is now and to what was changed.

    Best and last checkpoint are those of this folder, wherever it was before; learning rate and patience are
    those of the configuration; `max_time` is counted anew in each sitting.

    Args:
        checkpoint: to continue from.
        module: that it will be loaded into.
        trainer: that will train on.
        optimizer: its configuration.

    Raises:
        ValueError: if the checkpoint is of another model, or holds no state of training.
    """

    def __init__(
        self,
        checkpoint: Path,
        module: TrainingModule,
        trainer: pl.Trainer,
        optimizer: Mapping[str, Any],
    ):
        self.lr = optimizer.get("lr")
        stored = read_checkpoint(checkpoint)
        _check_state(checkpoint, stored)
        _check_weights(checkpoint, stored, module)
        self._ended_early = _ended_early(trainer, stored)
        _end_if_done(trainer, stored, self._ended_early)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.forget_from(checkpoint["global_step"])
        states = checkpoint["callbacks"]
        for callback in trainer.callbacks:
            key, state = callback.state_key, states.get(callback.state_key)
            if isinstance(callback, Timer):
                states.pop(key, None)
            elif isinstance(callback, ModelCheckpoint) and state is not None:
                if not _relocated(state, Path(callback.dirpath)):
                    states.pop(key)
            elif isinstance(callback, EarlyStopping) and state is not None:
                state["patience"] = callback.patience
        if self.lr is not None:
            _set_learning_rate(checkpoint, self.lr)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._ended_early:  # Lightning would train one more epoch before it sees that
            trainer.should_stop = True


def _check_state(path: Path, stored: dict[str, Any]) -> None:
    for key, kind in _STATE.items():
        if not isinstance(stored.get(key), kind):
            raise ValueError(
                f"{path} can't be continued: it holds no {key} of training, only a model to load."
            )


def _check_weights(path: Path, stored: dict[str, Any], module: TrainingModule) -> None:
    expected = {name: value.shape for name, value in weights(module).items()}
    found = {name: value.shape for name, value in stored["state_dict"].items()}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        raise ValueError(
            f"{path} can't be continued: it holds another model than config.yaml describes, "
            f"as {wrong[0]} shows. Put back the config.yaml that the run wrote."
        )


def _ended_early(trainer: pl.Trainer, stored: dict[str, Any]) -> bool:
    """Whether early stopping ended the run, and would again with the patience of now."""
    for callback in trainer.early_stopping_callbacks:
        state = stored["callbacks"].get(callback.state_key) or {}
        if state.get("stopped_epoch") and state["wait_count"] >= callback.patience:
            return True
    return False


def _end_if_done(trainer: pl.Trainer, stored: dict[str, Any], ended_early: bool) -> None:
    """Say so where nothing is left to train."""
    done = stored["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if ended_early:
        why = (
            f"early stopping ended it after {done} epochs; raise callbacks.early_stopping.patience"
        )
    elif trainer.max_epochs not in (None, -1) and done >= trainer.max_epochs:
        why = f"{done} epochs are done, trainer.max_epochs={trainer.max_epochs}; raise it"
        trainer.fit_loop.max_epochs = done  # Lightning refuses less than what is done
    elif trainer.max_steps != -1 and stored["global_step"] >= trainer.max_steps:
        why = f"{stored['global_step']} steps are done, trainer.max_steps={trainer.max_steps}; raise it"
    else:
        return
    warnings.warn(f"nothing is left to train: {why} to go on.", stacklevel=4)


def _relocated(state: dict[str, Any], folder: Path) -> bool:
    """Let the state of a ModelCheckpoint speak of `folder`; False if its best file is not whole there."""

    def here(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    state["dirpath"] = str(folder)
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = here(state.get(key, ""))
    state["best_k_models"] = {here(p): score for p, score in state["best_k_models"].items()}
    best = state["best_model_path"]
    return not best or (Path(best).is_file() and _is_whole(Path(best)))


def _set_learning_rate(checkpoint: dict[str, Any], lr: float) -> None:
    """Scale the rates that were reached, so that a schedule goes on from its own place."""
    for optimizer in checkpoint["optimizer_states"]:
        for group in optimizer["param_groups"]:
            before = group.get("initial_lr", group["lr"])
            if before == lr:
                continue
            group["lr"] = group["lr"] / before * lr if before else lr
            if "initial_lr" in group:
                group["initial_lr"] = lr
    for scheduler in checkpoint["lr_schedulers"]:
        scheduler["base_lrs"] = [lr for _ in scheduler.get("base_lrs", [])]
