"""What is shown while a run trains: one line an epoch, live on a terminal, nothing in CI."""

import os
import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

SHOWN = ("train/loss", "val/elbo", "val/log_likelihood", "val/kl")


class Progress(pl.Callback):
    """Epoch, speed and the main numbers.

    Args:
        terms: logged names to show, nats.
    """

    def __init__(self, terms: list[str] | tuple[str, ...] = SHOWN):
        self.terms = tuple(terms)
        self._console = Console(quiet=bool(os.environ.get("CI")), highlight=False, soft_wrap=True)
        self._status: Any = None
        self._began = 0.0
        self._shown_at = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._console.is_terminal and trainer.is_global_zero:
            self._status = self._console.status("starting")
            self._status.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = time.monotonic()
        if self._status is not None and now - self._shown_at > 0.2:
            self._shown_at = now
            done, of = batch_idx + 1, trainer.num_training_batches
            self._status.update(f"{self._epoch(trainer)}, batch {done}/{of}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        known = trainer.callback_metrics
        numbers = [f"{name} {float(known[name]):.1f}" for name in self.terms if name in known]
        seconds = time.monotonic() - self._began
        self._console.print("  ".join([f"{self._epoch(trainer)}  {seconds:.1f} s", *numbers]))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _epoch(self, trainer: pl.Trainer) -> str:
        of = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        return f"epoch {trainer.current_epoch + 1}{of}"

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
