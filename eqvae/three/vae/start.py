"""A model of structures starts from what its training structures have in common, not from noise."""

import pytorch_lightning as pl


class StartFromMean(pl.Callback):
    """Before the first step, set the reference and the scales of a `SpaceVAE` by training structures.

    Args:
        structures: training structures that are looked at, at most.

    Raises:
        ValueError: if there are fewer than 1.
    """

    def __init__(self, structures: int = 1000):
        if structures < 1:
            raise ValueError(f"structures must be at least 1; got {structures}.")
        self.structures = structures

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = pl_module.vae
        started = getattr(model.decoder, "started", None)
        if started is None or bool(started):
            return
        x = trainer.datamodule.train[: self.structures].image[:, 0]
        model.start(x.to(next(model.parameters())))
