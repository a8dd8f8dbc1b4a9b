"""Do reconstructions and samples look like the data?"""

import torch
from torch import Tensor

from eqvae.drawing.pictures import reconstruction_picture, sample_picture
from eqvae.evaluation.drawn import Drawn, decoded, feature_scores_of, recognition_scores
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.generation.features import SMALLEST
from eqvae.metrics.generation.orientation import distance_by_orientation
from eqvae.metrics.generation.reconstruction import reconstruction_scores
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import motion

PLACE = 20


@torch.no_grad()
def generation(held_out: HeldOut) -> Findings:
    """Reconstructions against images, samples against data, and both at every orientation."""
    model, seed, groups = held_out.model, held_out.seed, held_out.groups
    n = min(len(held_out.batch), 2000 if held_out.fast else 10_000)
    kept = held_out.seen(held_out.encoding.reconstruction).clamp(0, 1)
    first = slice(len(kept))
    real = held_out.seen(held_out.images[first])
    scores = reconstruction_scores(real, kept, groups=picked(groups, first), seed=seed)
    shown = {
        "Reconstructions": reconstruction_picture(model, held_out.batch[:8].to(held_out.device)),
        "Samples from the prior": sample_picture(model, seed=seed),
    }
    generator = torch.Generator().manual_seed(seed)
    drawn = Drawn(held_out, model.settle(model.prior.sample(n, generator), generator))
    scores |= recognition_scores(drawn)
    if (size := drawn.real.shape[-1]) < SMALLEST:
        reason = f"the feature network needs images of {SMALLEST} pixels; got {size}"
        return Findings(scores | {"fd_posed": Score.null(reason, page="frechet-distance")}, shown)
    return Findings(scores | feature_scores_of(drawn) | _by_orientation(drawn), shown)


def _by_orientation(drawn: Drawn) -> dict[str, Score]:
    held_out = drawn.held_out
    few = min(len(drawn), 500 if held_out.fast else 2000)

    def turned(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        moved = held_out.model.domain.act(g, held_out.images[:few])
        return held_out.seen(moved).clamp(0, 1)

    def redrawn(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return decoded(held_out, held_out.representation.act(g, drawn.z[:few]))

    return distance_by_orientation(turned, redrawn, **drawn.draws(few))
