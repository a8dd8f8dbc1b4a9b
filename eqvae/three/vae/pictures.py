"""Pictures of a model of structures: reconstructions laid over what they should be, samples, orbits."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from eqvae.data.batch import Batch
from eqvae.drawing.png import save_figure
from eqvae.three.vae.overlay import overlay_figure, sample_figure


class StructurePictures(pl.Callback):
    """Write reconstructions and samples into <run folder>/pictures when the test ends.

    Args:
        num_structures: columns of the reconstructions.

    Raises:
        ValueError: if there are fewer than 1.
    """

    def __init__(self, num_structures: int = 4):
        if num_structures < 1:
            raise ValueError(f"num_structures must be 1 or more; got {num_structures}.")
        self.num_structures = num_structures
        self._shown: Batch | None = None

    def on_test_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        *_: Any,
    ) -> None:
        if batch_idx == 0:
            rows = range(0, len(batch), max(1, len(batch) // self.num_structures))
            self._shown = batch[list(rows)[: self.num_structures]]

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._shown is None or trainer.fast_dev_run or not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        model = pl_module.vae
        save_figure(overlay_figure(model, self._shown), folder / "reconstructions.png")
        save_figure(sample_figure(model, self.num_structures), folder / "samples.png")
