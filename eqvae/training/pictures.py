"""Pictures of the model while and after it trains, in the run folder and on W&B."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from PIL.Image import Image
from pytorch_lightning.loggers import WandbLogger

from eqvae.data.batch import Batch
from eqvae.drawing.masks import mask_picture
from eqvae.drawing.pictures import (
    cluster_picture,
    orbit_frames,
    orbit_picture,
    reconstruction_picture,
    sample_picture,
    save_gif,
)
from eqvae.drawing.png import save_figure
from eqvae.models.model import Model


class PictureCallback(pl.Callback):
    """Write reconstructions, samples, clusters, orbits and masks into <run folder>/pictures.

    They show test images when the test ends, validation images during training.

    Args:
        every_n_epochs: also during training, after every so many epochs; 0 waits for the test.
        num_images: columns of the reconstructions.
        max_shift: largest shift in the orbits, pixels.

    Raises:
        ValueError: if every_n_epochs is negative or num_images less than 1.
    """

    def __init__(self, every_n_epochs: int = 0, num_images: int = 8, max_shift: float = 5.0):
        if every_n_epochs < 0:
            raise ValueError(f"every_n_epochs must be 0 or more; got {every_n_epochs}.")
        if num_images < 1:
            raise ValueError(f"num_images must be 1 or more; got {num_images}.")
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images
        self.max_shift = max_shift
        self._images: Batch | None = None

    def check(self, model: Model) -> None:
        """Refuse models of structures, before they are trained.

        Raises:
            ValueError: if the model's domain has no pixels.
        """
        if math.isinf(model.domain.radius):
            raise ValueError(
                "callbacks.pictures must draw what the model is of; PictureCallback draws images, and this "
                "model is of structures. Set callbacks=structures."
            )

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        *_: Any,
    ) -> None:
        if batch_idx == 0:
            self._images = batch[: self.num_images]

    on_test_batch_start = on_validation_batch_start

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if due and not trainer.sanity_checking:
            self._write(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._images is None or trainer.fast_dev_run or not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "pictures"
        model, batch = pl_module.vae, self._images
        pictures = {
            "reconstructions": reconstruction_picture(model, batch),
            "samples": sample_picture(model),
            "orbit": orbit_picture(model, batch[:1], self.max_shift),
        }
        if model.mask is not None:
            pictures["masks"] = mask_picture(model, batch)
        _save(folder, pictures)
        _log(trainer, pictures)
        gif = folder / "orbit.gif"
        save_gif(orbit_frames(model, batch[:5], self.max_shift), gif)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_video("pictures/orbit_gif", [str(gif)], format=["gif"])

    def write_prior(self, trainer: pl.Trainer, model: Model) -> None:
        """`write_prior_pictures`, on W&B too."""
        pictures = write_prior_pictures(model, Path(trainer.default_root_dir))
        _log(trainer, pictures)


def write_prior_pictures(model: Model, run: Path) -> dict[str, Image]:
    """samples.png and clusters.png of a model whose prior was fitted after training, in a run folder."""
    pictures = {"samples": sample_picture(model), "clusters": cluster_picture(model)}
    _save(run / "pictures", pictures)
    return pictures


def _save(folder: Path, pictures: dict[str, Image]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        save_figure(picture, folder / f"{name}.png")


def _log(trainer: pl.Trainer, pictures: dict[str, Image]) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            for name, picture in pictures.items():
                logger.log_image(f"pictures/{name}", [picture])
