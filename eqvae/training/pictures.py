"""Pictures of the model while and after it trains, in the run folder and on W&B."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.loggers import WandbLogger

from eqvae.data.batch import Batch
from eqvae.data.served import ServedDataModule
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


class ModelPictures(pl.Callback, ABC):
    """Write what a model makes of some examples into <run folder>/pictures, and send it to W&B.

    They are test examples when the test ends, validation examples during training.

    Args:
        every_n_epochs: also during training, after every so many epochs; 0 waits for the test.

    Attributes:
        signals: what it draws, see `Domain.signals`.

    Raises:
        ValueError: if every_n_epochs is negative.
    """

    signals: ClassVar[str]

    def __init__(self, every_n_epochs: int = 0):
        if every_n_epochs < 0:
            raise ValueError(f"every_n_epochs must be 0 or more; got {every_n_epochs}.")
        self.every_n_epochs = every_n_epochs
        self._shown: Batch | None = None

    @abstractmethod
    def chosen(self, batch: Batch) -> Batch:
        """The examples of the first batch that are shown."""

    @abstractmethod
    def drawn(self, model: Model, batch: Batch, data: ServedDataModule) -> dict[str, Any]:
        """By file name: a figure or image for each .png, a list of frames for each .gif.

        Args:
            model: in eval mode.
            batch: the examples that are shown.
            data: which they come from.
        """

    @abstractmethod
    def drawn_prior(self, model: Model, data: ServedDataModule) -> dict[str, Any]:
        """What the prior that was fitted after training knows, by file name as `drawn`."""

    def check(self, model: Model) -> None:
        """Refuse models of something else, before they are trained.

        Raises:
            ValueError: if the model is of other signals.
        """
        if model.domain.signals != self.signals:
            raise ValueError(
                f"callbacks.pictures must draw what the model is of; {type(self).__name__} draws "
                f"{self.signals}, and this model is of {model.domain.signals}. Set callbacks=default for "
                "images, callbacks=structures for structures."
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
            self._shown = self.chosen(batch)

    on_test_batch_start = on_validation_batch_start

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if due and not trainer.sanity_checking:
            self._write(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, pl_module)

    def save_prior(self, run: Path, model: Model, data: ServedDataModule) -> list[Path]:
        """Write `drawn_prior` into a run folder."""
        return _saved(run, self.drawn_prior(model, data))

    def write_prior(self, trainer: pl.Trainer, model: Model) -> None:
        """`save_prior`, on W&B too."""
        _send(trainer, self.save_prior(Path(trainer.default_root_dir), model, trainer.datamodule))

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._shown is None or trainer.fast_dev_run or not trainer.is_global_zero:
            return
        pictures = self.drawn(pl_module.vae, self._shown, trainer.datamodule)
        _send(trainer, _saved(Path(trainer.default_root_dir), pictures))


class PictureCallback(ModelPictures):
    """Reconstructions, samples, clusters, orbits and masks of a model of images.

    Args:
        every_n_epochs: also during training, after every so many epochs; 0 waits for the test.
        num_images: columns of the reconstructions.
        max_shift: largest shift in the orbits, pixels.

    Raises:
        ValueError: if every_n_epochs is negative or num_images less than 1.
    """

    signals = "images"

    def __init__(self, every_n_epochs: int = 0, num_images: int = 8, max_shift: float = 5.0):
        super().__init__(every_n_epochs)
        if num_images < 1:
            raise ValueError(f"num_images must be 1 or more; got {num_images}.")
        self.num_images = num_images
        self.max_shift = max_shift

    def chosen(self, batch: Batch) -> Batch:
        return batch[: self.num_images]

    def drawn(self, model: Model, batch: Batch, data: ServedDataModule) -> dict[str, Any]:
        pictures = {
            "reconstructions.png": reconstruction_picture(model, batch),
            "samples.png": sample_picture(model),
            "orbit.png": orbit_picture(model, batch[:1], self.max_shift),
            "orbit.gif": orbit_frames(model, batch[:5], self.max_shift),
        }
        if model.mask is not None:
            pictures["masks.png"] = mask_picture(model, batch)
        return pictures

    def drawn_prior(self, model: Model, data: ServedDataModule) -> dict[str, Any]:
        return {"samples.png": sample_picture(model), "clusters.png": cluster_picture(model)}


def _saved(run: Path, pictures: Mapping[str, Any]) -> list[Path]:
    folder = run / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        save = save_gif if isinstance(picture, list) else save_figure
        save(picture, folder / name)
    return [folder / name for name in pictures]


def _send(trainer: pl.Trainer, files: list[Path]) -> None:
    for logger in trainer.loggers:
        if not isinstance(logger, WandbLogger):
            continue
        for file in files:
            if file.suffix == ".gif":
                logger.log_video(f"pictures/{file.stem}_gif", [str(file)], format=["gif"])
            else:
                logger.log_image(f"pictures/{file.stem}", [str(file)])
