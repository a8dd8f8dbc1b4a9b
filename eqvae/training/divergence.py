"""Stop a training whose loss is no longer a number, at that very step."""

from typing import Any

import pytorch_lightning as pl
import torch


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
    """Raise `Diverged` at the first loss that is not finite."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        diverged = not bool(torch.isfinite(outputs["loss"]))
        # of one process alone the others would wait for
        if trainer.strategy.reduce_boolean_decision(diverged, all=False):
            raise Diverged(trainer.global_step)
