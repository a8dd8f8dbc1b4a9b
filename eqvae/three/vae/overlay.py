"""Figures of structures laid over each other: what a model was shown in grey, what it makes of it in red."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.three.drawing.panels import panels
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.vae.alignment import aligned, rmsd

TRUE, MADE, DRAWN = "0.45", "#d62728", "0.75"


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


@torch.no_grad()
def kinds_figure(
    model: Model, skeleton: Skeleton | None = None, most: int = 8, draws: int = 6, seed: int = 0
) -> Figure:
    """The largest components of a fitted prior, upright: draws in grey under the middle of each in red.

    Args:
        model: with a fitted prior.
        skeleton: what is drawn of a structure; None for a chain.
        most: how many components, at most.
        draws: of each, laid upon its middle.
        seed: of the draws.
    """
    prior, generator = model.prior, torch.Generator().manual_seed(seed)
    largest = prior.weights.argsort(descending=True)[:most]
    middle = model.decode(prior.centres()[largest])[:, 0].cpu()
    middle = aligned(middle, middle[:1].expand_as(middle)) @ upright_view(middle[0]).mT
    layers = []
    for _ in range(draws):
        drawn = model.decode(prior.draw_upright(largest, generator))[:, 0].cpu()
        layers.append((aligned(drawn, middle), DRAWN))
    titles = [f"{100 * share:.0f} %" for share in prior.weights[largest].tolist()]
    count, all_of_them = len(largest), len(prior.weights)
    heading = f"The {count} largest of {all_of_them} kinds: the middle of each, and draws"
    if all_of_them == 1:
        heading = "The one kind: its middle, and draws"
    return panels([*layers, (middle, MADE)], titles, skeleton=skeleton, heading=heading)


def upright_view(x: Tensor) -> Tensor:
    """The rotation after which a structure (N, 3) is longest along y and thinnest along z, (3, 3)."""
    longest, second, _ = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)[2]
    return torch.stack([second, longest, torch.linalg.cross(second, longest)])
