"""The last step of a run is kept, whatever epochs the checkpoints of a configuration are written after."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from eqvae.training.processes import any_of_them
from eqvae.training.resume import steps_of


class KeepLastStep(pl.Callback):
    """When training ends between two checkpoints of `callbacks.last`, write that file once more.

    The step in the file tells whether that is due. Without it a run that is shorter than every_n_epochs
    leaves no checkpoint at all, and a longer one an old one. Where no checkpoint is asked for, none is
    written.

    Args:
        path: of the checkpoint; the same file as the one written during training.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.fast_dev_run:
            return
        asked = (c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint))
        if all(callback.monitor is not None for callback in asked):
            return
        first = trainer.is_global_zero  # the one that writes
        if any_of_them(trainer, first and self._stored() != trainer.global_step):
            trainer.save_checkpoint(self.path)

    def _stored(self) -> int | None:
        """The step that the file holds."""
        return steps_of(self.path) if self.path.is_file() else None
