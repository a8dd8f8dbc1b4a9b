"""Pictures of a model of structures: reconstructions, samples, and walks through its latent."""

from typing import Any

from eqvae.data.batch import Batch
from eqvae.data.served import ServedDataModule
from eqvae.models.model import Model
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.vae.overlay import kinds_figure, overlay_figure, sample_figure
from eqvae.three.vae.walks import content_columns, orbit_figure, traversal_figure, turning
from eqvae.training.pictures import ModelPictures


class StructurePictures(ModelPictures):
    """Reconstructions, samples, an orbit, walks through content, and a structure that turns.

    Args:
        every_n_epochs: also during training, after every so many epochs; 0 waits for the test.
        num_structures: columns of the reconstructions.
        frames: of the structure that turns.

    Raises:
        ValueError: if every_n_epochs is negative, num_structures less than 1 or frames less than 2.
    """

    signals = "structures"

    def __init__(self, every_n_epochs: int = 0, num_structures: int = 4, frames: int = 36):
        super().__init__(every_n_epochs)
        if num_structures < 1:
            raise ValueError(f"num_structures must be 1 or more; got {num_structures}.")
        if frames < 2:
            raise ValueError(f"frames must be 2 or more; got {frames}.")
        self.num_structures = num_structures
        self.frames = frames

    def chosen(self, batch: Batch) -> Batch:
        """Along the whole batch: neighbours in a trajectory look alike."""
        rows = range(0, len(batch), max(1, len(batch) // self.num_structures))
        return batch[list(rows)[: self.num_structures]]

    def drawn(self, model: Model, batch: Batch, data: ServedDataModule) -> dict[str, Any]:
        skeleton, one = Skeleton.of(data.images.structures), batch[:1]
        pictures = {
            "reconstructions.png": overlay_figure(model, batch, skeleton),
            "samples.png": sample_figure(model, self.num_structures, skeleton=skeleton),
            "orbit.png": orbit_figure(model, one, skeleton),
            "turning.gif": turning(model, one, skeleton, self.frames),
        }
        if content_columns(model.representation):
            pictures["traversal.png"] = traversal_figure(model, one, skeleton)
        return pictures

    def drawn_prior(self, model: Model, data: ServedDataModule) -> dict[str, Any]:
        skeleton = Skeleton.of(data.images.structures)
        return {
            "samples.png": sample_figure(model, self.num_structures, skeleton=skeleton),
            "clusters.png": kinds_figure(model, skeleton),
        }
