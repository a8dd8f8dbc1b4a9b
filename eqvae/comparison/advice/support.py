"""Does the distribution of the images have the symmetry? A model that knows none is asked.

It scores images before and after they are moved. Where the distribution has the symmetry, it can't tell them
apart:

    loss = E log p(h x) - E log p(g x),    g a large motion, h a small one, by as many interpolations
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.comparison.advice.pilots import BATCH, elbos
from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid, border
from eqvae.models.model import Model
from eqvae.symmetry import motion


@dataclass(frozen=True)
class Support:
    """How much a symmetry-blind model minds that held-out images are moved.

    Attributes:
        symmetry: "rotation", "shift" or "mirror".
        loss: nats for each image by which the motion lowers the ELBO, above a motion too small to matter.
        error: its standard error over images.
    """

    symmetry: str
    loss: float
    error: float

    @property
    def holds(self) -> bool:
        """Whether the loss can't be told from 0 at two standard errors."""
        return self.loss < 2 * self.error


def supports(model: Model, batch: Batch, seed: int = 0, shift: float = 2.0) -> list[Support]:
    """How well the distribution of images bears rotations, shifts and mirrors.

    Args:
        model: trained without any symmetry.
        batch: held-out images.
        seed: of the motions and latents.
        shift: radius of the shifts, pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    n = len(batch)
    turn = (torch.rand(n, generator=generator) * 2 - 1) * np.pi
    radius = torch.rand(n, generator=generator).sqrt()
    toward = torch.rand(n, generator=generator) * 2 * np.pi
    step = torch.stack([toward.cos(), toward.sin()], dim=1) * radius[:, None]

    def score(*motions: Tensor, within: bool = False) -> np.ndarray:
        found = []
        for rows in (slice(first, first + BATCH) for first in range(0, n, BATCH)):
            some = moved(batch[rows], *(g[rows] for g in motions), within=within)
            found.append(elbos(model, some, seed))
        return torch.cat(found).numpy()

    still, little = torch.zeros(n), np.deg2rad(5.0) / np.pi
    away, back = motion(turn), motion((little - 1) * turn)
    off, home = motion(still, shift * step), motion(still, (0.5 - shift) * step)
    pairs = {  # moved, not moved but by a little, by as many interpolations
        "rotation": (
            score(away, motion(little * turn), within=True),
            score(away, back, within=True),
        ),
        "shift": (score(off, motion(still, 0.5 * step)), score(off, home)),
        "mirror": (score(motion(still, reflection=1.0)), score()),
    }
    return [
        Support(name, float(np.mean(b - a)), float(np.std(b - a, ddof=1) / np.sqrt(n)))
        for name, (a, b) in pairs.items()
    ]


def moved(batch: Batch, *motions: Tensor, within: bool = False) -> Batch:
    """The images after some motions, one after the other, each by interpolation, on their own ground.

    Args:
        batch: the images; their optics are round and stay.
        motions: each (N, 4).
        within: whether what lies outside the inscribed disc becomes ground before.
    """
    domain = SquareGrid.of(batch.image)
    ground = (
        border(batch.image).median(dim=-1).values[..., None, None]
    )  # what comes in from outside
    x = batch.image - ground
    if within:
        x = x * domain.mask().to(x)
    for g in motions:
        x = domain.act(g, x)
    return batch.replace(image=x + ground)
