"""A prior with components starts from what the model has learned, not from nothing."""

import pytorch_lightning as pl
import torch

from eqvae.distributions import concatenated


class StartPrior(pl.Callback):
    """After some epochs, fit the content prior's components to the content of training images.

    Args:
        epoch: epochs of training before.
        images: training images looked at, at most.
        seed: of the fit.

    Raises:
        ValueError: if a number is out of its range, or the model has no content prior to start.
    """

    def __init__(self, epoch: int = 4, images: int = 20_000, seed: int = 0):
        if epoch < 1 or images < 100:
            raise ValueError(f"epoch must be >= 1 and images >= 100; got {epoch} and {images}.")
        self.epoch = epoch
        self.images = images
        self.seed = seed

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not hasattr(getattr(pl_module.vae, "prior", None), "content"):
            raise ValueError(
                "callbacks.start_prior needs a model with a content prior; got "
                f"{type(pl_module.vae).__name__}. Choose model=pose, or callbacks=default."
            )
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= self.epoch:
            raise ValueError(
                f"callbacks.start_prior.epoch must be below trainer.max_epochs={trainer.max_epochs}; "
                f"got {self.epoch}."
            )

    @torch.no_grad()
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch != self.epoch:
            return
        vae, content, coefficients, seen = pl_module.vae, [], [], 0
        for batch in trainer.train_dataloader:
            seen += len(batch)
            found = vae.content_of(batch.to(pl_module.device))
            content.append(found[1])
            coefficients.append(found[0])
            if seen >= self.images:
                break
        vae.prior.content.start(torch.cat(coefficients), concatenated(content), self.seed)
