"""Figures of structures laid over each other: what a model was shown in grey, what it makes of it in red."""

import torch
from matplotlib.figure import Figure

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.three.drawing.panels import panels
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.vae.alignment import rmsd

TRUE, MADE = "0.45", "#d62728"


@torch.no_grad()
def overlay_figure(model: Model, batch: Batch, skeleton: Skeleton | None = None) -> Figure:
    """Structures in grey under their reconstructions in red, each with its RMSD over all atoms.

    Args:
        model: that makes them.
        batch: the structures.
        skeleton: what is drawn of them; None for chains in the order of their atoms.
    """
    made = model.reconstruct(batch, model.encode(batch))[:, 0].cpu()
    real = batch.image[:, 0].cpu()
    titles = [f"RMSD {float(value):.2f} Å" for value in rmsd(real, made)]
    return panels([(real, TRUE), (made, MADE)], titles, skeleton=skeleton)


@torch.no_grad()
def sample_figure(
    model: Model, count: int, seed: int = 0, skeleton: Skeleton | None = None
) -> Figure:
    """Draws from the prior, each about its own centroid; skeleton as in `overlay_figure`."""
    made = model.sample(count, torch.Generator().manual_seed(seed))[:, 0].cpu()
    return panels([(made, MADE)], [""] * count, skeleton=skeleton)
