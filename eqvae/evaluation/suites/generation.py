"""Do reconstructions and samples look like the data?"""

import torch
from torch import Tensor

from eqvae.drawing.pictures import reconstruction_picture, sample_picture
from eqvae.evaluation.encoding import BATCH
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.generation.features import SMALLEST
from eqvae.metrics.generation.orientation import distance_by_orientation
from eqvae.metrics.generation.reconstruction import reconstruction_scores
from eqvae.metrics.generation.samples import generation_scores
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import motion

PLACE = 20


@torch.no_grad()
def generation(held_out: HeldOut) -> Findings:
    """Reconstructions against images, samples against data, and both at every orientation."""
    model, seed, groups = held_out.model, held_out.seed, held_out.groups
    n = min(len(held_out.batch), 2000 if held_out.fast else 10_000)
    real, kept = held_out.images[:n], held_out.encoding.reconstruction.clamp(0, 1)
    first = slice(len(kept))
    scores = reconstruction_scores(
        held_out.images[first], kept, groups=picked(groups, first), seed=seed
    )
    shown = {
        "Reconstructions": reconstruction_picture(model, held_out.batch[:8].to(held_out.device)),
        "Samples from the prior": sample_picture(model, seed=seed),
    }
    if real.shape[-1] < SMALLEST:
        reason = f"the feature network needs images of {SMALLEST} pixels; got {real.shape[-1]}"
        return Findings(scores | {"fd_posed": Score.null(reason, page="frechet-distance")}, shown)
    z = model.prior.sample(n, torch.Generator().manual_seed(seed))
    samples = _decoded(held_out, z)
    scores |= generation_scores(real, samples, groups=picked(groups, slice(n)), seed=seed)
    few = min(n, 500 if held_out.fast else 2000)

    def turned(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return model.domain.act(g, real[:few]).clamp(0, 1)

    def drawn(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return _decoded(held_out, held_out.representation.act(g, z[:few]))

    some = picked(groups, slice(few))
    scores |= distance_by_orientation(turned, drawn, groups=some, seed=seed)
    return Findings(scores, shown)


def _decoded(held_out: HeldOut, z: Tensor) -> Tensor:
    """Images of latents, in [0, 1]."""
    parts = z.to(held_out.device).split(BATCH)
    return torch.cat([held_out.model.decode(part).cpu() for part in parts]).clamp(0, 1)
