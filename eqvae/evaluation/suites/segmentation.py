"""Does the model know which pixels are the object, and does its mask move with the object?"""

import torch
from torch import Tensor

from eqvae.drawing.masks import mask_picture
from eqvae.evaluation.encoding import BATCH, some_motions
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.score import Score
from eqvae.metrics.segmentation.overlap import PAGE, overlap_scores

PLACE = 45


@torch.no_grad()
def segmentation(held_out: HeldOut) -> Findings:
    """Decoded masks against true ones, and the mask of a moved latent against the moved mask."""
    if held_out.model.mask is None:
        null = Score.null("the model decodes no mask: train it with mask=harmonic", page=PAGE)
        return Findings({"dice": null})
    scores = {f"law/{name}": score for name, score in _law(held_out).items()}
    shown = mask_picture(held_out.model, held_out.batch[:8].to(held_out.device))
    truth, z = held_out.batch.mask, held_out.encoding.posterior.mode
    if truth is None:
        scores["dice"] = Score.null("the data have no masks", page=PAGE)
    else:
        how = {"groups": held_out.groups, "seed": held_out.seed}
        scores = overlap_scores(_segmented(held_out, z), truth, **how) | scores
    return Findings(scores, {"Masks": shown})


def _law(held_out: HeldOut) -> dict[str, Score]:
    """IoU of mask(rho(g) z) and g mask(z), by kind of motion."""
    n = min(len(held_out.batch), 100 if held_out.fast else 400)
    z, domain = held_out.encoding.posterior.mode[:n], held_out.model.domain.black
    still = _segmented(held_out, z)
    found = {}
    for kind, motions in some_motions(held_out.model.symmetry.reflections, held_out.seed).items():
        each = motions.repeat_interleave(n, dim=0).to(z)
        again = z.repeat(len(motions), 1)
        moved = domain.act(each, still.repeat(len(motions), 1, 1, 1), "fourier")
        predicted = _segmented(held_out, held_out.representation.act(each, again))
        groups = picked(held_out.groups, slice(n))
        groups = torch.arange(n) if groups is None else groups
        how = {"groups": groups.repeat(len(motions)), "seed": held_out.seed}
        found[kind] = overlap_scores(predicted, moved, **how)["iou"]
    return found


def _segmented(held_out: HeldOut, z: Tensor) -> Tensor:
    parts = z.to(held_out.device).split(BATCH)
    return torch.cat([held_out.model.segment(part).cpu() for part in parts])
