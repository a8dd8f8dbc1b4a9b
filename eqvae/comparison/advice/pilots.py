"""Pilots: every arm trained for a short while at equal size, and its ELBO on images that it never saw."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.comparison.measure import equivariance, mean_residual
from eqvae.data.batch import Batch
from eqvae.losses.contest import cosines_of
from eqvae.models.model import Model
from eqvae.training.divergence import Diverged
from eqvae.training.run import prepare, train

BATCH = 250
_DRAWS = 4  # of the latent for each image


@dataclass(frozen=True)
class Pilot:
    """One small training of an arm.

    Attributes:
        arm: choice in configs/arm.
        images: it was trained on.
        elbo: of each held-out image, nats, (N,); None if the training diverged.
        dial: mean residual of its soft layers; None without any.
        seconds: of processor time.
        cosines: by penalty the cosine of its gradient and the task's, see `eqvae.losses.contest`.
        missed: error of the encoder under rotations of held-out images, 0 exact, 1 chance.
    """

    arm: str
    images: int
    elbo: np.ndarray | None
    dial: float | None
    seconds: float
    cosines: Mapping[str, float] = field(default_factory=dict)
    missed: float | None = None


def run_pilot(
    arm: str, config: Mapping[str, Any], seed: int = 0
) -> tuple[Pilot, Model | None, Batch]:
    """Train an arm and score the test images, which chose nothing in its training.

    Args:
        arm: its name.
        config: of the run, see `eqvae.comparison.cell.cell_config`.
        seed: of the latents drawn.

    Returns:
        The pilot, the trained model (None if it diverged), the test images.
    """
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(dict(config), Path(folder) / "run")
        held_out, images = run.datamodule.test[:], len(run.datamodule.train)

        def pilot(
            scores: np.ndarray | None = None,
            dial: float | None = None,
            cosines: Mapping[str, float] | None = None,
            missed: float | None = None,
        ) -> Pilot:
            seconds = time.process_time() - begin
            return Pilot(arm, images, scores, dial, seconds, cosines or {}, missed)

        try:
            cosines = cosines_of(train(run))
        except Diverged:
            return pilot(), None, held_out
        model = run.module.vae.eval()
    scores = elbos(model, held_out, seed).numpy()
    if not np.isfinite(scores).all():
        return pilot(), None, held_out
    missed = equivariance(model, held_out, seed)["encoder_error"]
    return pilot(scores, mean_residual(model), cosines, missed), model, held_out


@torch.no_grad()
def elbos(model: Model, batch: Batch, seed: int = 0) -> Tensor:
    """ELBO of each image, nats, (N,), mean over draws; the same noise for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = [
            torch.stack([model.score(some).elbo for _ in range(_DRAWS)])
            for some in (batch[first : first + BATCH] for first in range(0, len(batch), BATCH))
        ]
    return torch.cat(parts, dim=1).mean(dim=0)
