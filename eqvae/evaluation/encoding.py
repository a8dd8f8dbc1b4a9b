"""What a model makes of images, in one pass over them; and of the first of them when they are moved."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import concatenated, to_device
from eqvae.distributions.posterior import Posterior
from eqvae.models.model import ELBO, Model
from eqvae.models.vae import LatentELBO
from eqvae.symmetry.motions import motion
from eqvae.watch import Watch

KEPT = 2000  # reconstructions kept for PSNR, SSIM and pictures
BATCH = 250


@dataclass(frozen=True)
class Encoding:
    """What a model makes of images, rows in their order.

    Attributes:
        posterior: q(z|x), settled.
        log_likelihood: one-sample estimates of E log p(x|z), nats, (N,).
        kl: KL(q || p) by irrep block, nats, each (N,).
        reconstruction: from the mode, of the first `KEPT` images.
    """

    posterior: Posterior
    log_likelihood: Tensor
    kl: dict[str, Tensor]
    reconstruction: Tensor

    @property
    def elbo(self) -> Tensor:
        return self.log_likelihood - sum(self.kl.values())


@dataclass(frozen=True)
class Moved:
    """What a model says of moved images.

    Attributes:
        n: the first n images were moved.
        motions: (M, 4).
        kinds: what each motion is, M names.
        z: posterior modes, (M, n, D).
        pose: likeliest motions, (M, n, 4); None where no angle can be read.
        content: means, (M, n, D'). A mirror is known to flip chirality: there it is undone.
    """

    n: int
    motions: Tensor
    kinds: list[str]
    z: Tensor
    pose: Tensor | None
    content: Tensor


def encode_and_score(
    model: Model, batch: Batch, *, sample: bool = True, by_block: bool = True
) -> tuple[Posterior, ELBO]:
    """q(z|x) and the ELBO; a score that has its posterior with it is not encoded again."""
    score = model.score(batch, sample=sample, by_block=by_block)
    return score.posterior if isinstance(score, LatentELBO) else model.encode(batch), score


@torch.no_grad()
def encode(model: Model, batch: Batch, watch: Watch) -> Encoding:
    """One pass over all images; draws follow torch's own random numbers."""
    device = next(model.parameters()).device
    posteriors, scores, kept = [], [], []
    for first in watch(range(0, len(batch), BATCH), "encoding"):
        part = batch[first : first + BATCH].to(device)
        posterior, score = encode_and_score(model, part)
        posteriors.append(to_device(posterior, "cpu"))
        scores.append(score)
        if first < KEPT:
            again = model.reconstruct(part, posterior)
            kept.append(again[: KEPT - first].cpu())
    return Encoding(
        posterior=concatenated(posteriors).settled(),
        log_likelihood=torch.cat([score.log_likelihood for score in scores]).cpu(),
        kl={name: torch.cat([score.kl[name] for score in scores]).cpu() for name in scores[0].kl},
        reconstruction=torch.cat(kept),
    )


@torch.no_grad()
def encode_moved(
    model: Model, batch: Batch, motions: Tensor, watch: Watch, what: str
) -> Iterator[tuple[Tensor, Posterior]]:
    """Each motion, with the posteriors of the images that it moved, a part of them at a time."""
    device = next(model.parameters()).device
    for g in watch(motions, what):
        for first in range(0, len(batch), BATCH):
            part = batch[first : first + BATCH]
            moved = part.act(g.expand(len(part), -1).to(part.image), model.domain, "fourier")
            yield g, to_device(model.encode(moved.to(device)), "cpu")


def some_motions(mirrors: bool, seed: int) -> dict[str, Tensor]:
    """Motions by kind: quarter turns, other turns and shifts, and mirrors where they are a symmetry."""
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(4, generator=generator) * (2 * math.pi)
    shifts = torch.rand(3, 2, generator=generator) * 4 - 2
    kinds = {
        "quarter_turn": motion(angle=torch.arange(1, 4) * (math.pi / 2)),
        "rotation": motion(angle=turns),
        "shift": motion(shift=shifts),
    }
    return kinds | ({"mirror": motion(angle=turns[:2], reflection=1.0)} if mirrors else {})
