"""Stop a training whose loss is no longer a number, at that very step."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from eqvae.training.processes import any_of_them, may_wait


class Diverged(RuntimeError):
    """The loss became NaN or infinite.

    Attributes:
        step: training step at which it did.
    """

    def __init__(self, step: int):
        super().__init__(
            f"training diverged: the loss is not finite at step {step}. Lower optimizer.lr."
        )
        self.step = step


class StopWhenDiverged(pl.Callback):
    """Raise `Diverged` at the first loss that is not finite; on accelerators soon after it, without that the
    host waits for every step.
    """

    def __init__(self):
        self._first: Tensor | None = (
            None  # step whose loss was no number, on the device; -1 for none
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        loss = outputs["loss"].detach()
        first = loss.new_tensor(-1.0) if self._first is None else self._first
        bad = ~torch.isfinite(loss) & (first < 0)
        self._first = first.masked_fill(bad, float(trainer.global_step))
        if may_wait(trainer) and any_of_them(trainer, bool(self._first >= 0)):
            raise Diverged(int(self._first) if self._first >= 0 else trainer.global_step)
