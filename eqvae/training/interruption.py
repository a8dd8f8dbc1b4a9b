"""Ctrl-C and SIGTERM: finish the batch, write a checkpoint, stop.

Between two batches the weights, the optimizer and the counters agree, so the checkpoint continues
exactly. A signal during validation waits for the checkpoint that follows it.
"""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from eqvae.training.processes import any_of_them, may_wait

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Training was stopped from outside.

    Attributes:
        signal: the number of the signal; a shell expects the exit code 128 + signal.
        checkpoint: where the run can continue, None if no step was taken.
    """

    def __init__(self, signum: int, checkpoint: Path | None):
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signal = signum
        self.checkpoint = checkpoint


class InterruptCheckpoint(pl.Callback):
    """Turn the first Ctrl-C or SIGTERM into a checkpoint and `Interrupted`; a second stops at once.

    Args:
        path: of the checkpoint; the same file as the one written after every epoch.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen()

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop(trainer)
        self._forget()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        # after an epoch's last batch come validation and the epoch's own checkpoint: wait for that
        if trainer.is_last_batch or not (trainer.world_size == 1 or may_wait(trainer)):
            return
        if self._any_received(trainer):
            trainer.save_checkpoint(self.path)
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop(trainer)
        self._forget()

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        if trainer.world_size == 1:  # several may have different numbers of batches
            self._stop(trainer)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop(trainer)
        self._forget()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._forget()

    def _stop(self, trainer: pl.Trainer) -> None:
        if self._any_received(trainer):
            signum = self._received or signal.SIGTERM
            raise Interrupted(signum, self.path if self.path.is_file() else None)

    def _any_received(self, trainer: pl.Trainer) -> bool:
        """Whether a signal came to any of the processes: all of them stop at the same batch, or none does."""
        return any_of_them(trainer, self._received is not None)

    def _listen(self) -> None:
        for signum in SIGNALS:
            if signal.getsignal(signum) != self._receive:
                self._before[signum] = signal.signal(signum, self._receive)

    def _forget(self) -> None:
        # before Lightning puts back what it found: afterwards this would bring Lightning's own back
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise KeyboardInterrupt
        self._received = signum
