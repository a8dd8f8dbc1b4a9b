"""The last step of a run is kept, whatever epochs the checkpoints of a configuration are written after."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


class KeepLastStep(pl.Callback):
    """When training ends between two checkpoints of `callbacks.last`, write that file once more.

    Without it a run that is shorter than every_n_epochs leaves no checkpoint at all, and a longer one an old
    one. Where no checkpoint is asked for, none is written.

    Args:
        path: of the checkpoint; the same file as the one written during training.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.fast_dev_run:
            return
        for callback in trainer.checkpoint_callbacks:
            last = isinstance(callback, ModelCheckpoint) and callback.monitor is None
            if last and getattr(callback, "_last_global_step_saved", None) != trainer.global_step:
                trainer.save_checkpoint(self.path)
                return
