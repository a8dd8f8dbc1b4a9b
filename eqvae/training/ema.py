"""Running averages of the weights: w_avg <- d w_avg + (1 - d) w after every step."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from eqvae.training.checkpoint import AVERAGED, load_weights, weights


class ExponentialMovingAverage(pl.Callback):
    """Validate, test and load the model with averaged weights, train it with its own.

    The average starts from the first weights; d = min(decay, (1 + n) / (10 + n)) at step n forgets
    them soon. Buffers are copied, not averaged.

    Args:
        decay: d, the weight of the past at every step, in [0, 1).

    Raises:
        ValueError: if `decay` is outside [0, 1).
    """

    def __init__(self, decay: float = 0.995):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1); got {decay}.")
        self.decay = decay
        self.steps = 0
        self.average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] | None = None  # the trained weights while averages are in

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        current = weights(pl_module.vae)
        if not self.average:
            self.average = {name: value.clone() for name, value in current.items()}
        self.average = {
            name: value.to(current[name].device) for name, value in self.average.items()
        }

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        if trainer.global_step == self.steps:
            return  # gradients are being accumulated
        self.steps = trainer.global_step
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        learned = dict(pl_module.vae.named_parameters())
        for name, value in learned.items():
            self.average[name].lerp_(value.detach(), 1 - decay)
        for name, value in pl_module.vae.named_buffers():
            if name in self.average and name not in learned:
                self.average[name].copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_average(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_trained(pl_module)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_average(pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_trained(pl_module)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._put_trained(pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[AVERAGED] = {name: value.clone() for name, value in self.average.items()}
        for name, value in (self._trained or {}).items():
            checkpoint["state_dict"][f"vae.{name}"] = value

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        averages = checkpoint.get(AVERAGED, {})
        self.average = {name: value.clone() for name, value in averages.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]

    def _put_average(self, pl_module: pl.LightningModule) -> None:
        if self.average and self._trained is None:
            self._trained = {k: v.clone() for k, v in weights(pl_module.vae).items()}
            load_weights(pl_module.vae, self.average)

    def _put_trained(self, pl_module: pl.LightningModule) -> None:
        if self._trained is not None:
            load_weights(pl_module.vae, self._trained)
            self._trained = None
