"""Figures of structures as chains of atoms seen along one axis, laid over each other."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.three.vae.alignment import rmsd

_TRUE, _MADE = "0.55", "#d62728"


@torch.no_grad()
def overlay_figure(model: Model, batch: Batch) -> Figure:
    """Structures in grey under their reconstructions in red, each with its RMSD."""
    made = model.reconstruct(batch, model.encode(batch))[:, 0].cpu()
    real = batch.image[:, 0].cpu()
    titles = [f"RMSD {float(value):.2f} Å" for value in rmsd(real, made)]
    return chains_figure([(real, _TRUE), (made, _MADE)], titles)


@torch.no_grad()
def sample_figure(model: Model, count: int, seed: int = 0) -> Figure:
    """Draws from the prior, each about its own centroid."""
    made = model.sample(count, torch.Generator().manual_seed(seed))[:, 0].cpu()
    made = made - made.mean(dim=1, keepdim=True)
    return chains_figure([(made, _MADE)], [""] * count)


def chains_figure(layers: Sequence[tuple[Tensor, str]], titles: Sequence[str]) -> Figure:
    """Structures side by side, (count, N, 3) and a colour for each layer, seen along z."""
    figure = Figure(figsize=(2.6 * len(titles), 2.8), layout="constrained")
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for i, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for structures, colour in layers:
            x = structures[i]
            axis.plot(x[:, 0], x[:, 1], color=colour, linewidth=1.2)
            axis.scatter(x[:, 0], x[:, 1], s=4, color=colour)
        axis.set_aspect("equal")
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=6)
    return figure
