"""Small models of every family, with priors as they are before and after a fit."""

import torch

from eqvae.config import build
from eqvae.data.batch import Batch
from eqvae.distributions.orbit import OrbitPosedPrior, OrbitPrior
from eqvae.distributions.orbit.content import TemplateFrames
from eqvae.models.model import Model
from eqvae.models.pose_vae import PoseVAE
from tests.training.runs import tiny_config

SIZE = 29
IMAGE = [f"image.size={SIZE}", "image.channels=1", "image.background=[0.05]"]


def small(family: str, fitted: bool = False, *overrides: str) -> Model:
    """A model with random weights; `fitted` gives it three kinds of object."""
    torch.manual_seed(0)
    model = build(tiny_config(f"model={family}", *IMAGE, *overrides)["model"], path="model").eval()
    if fitted:
        model.prior = _fitted(model)
    return model.requires_grad_(False)


@torch.no_grad()
def _fitted(model: Model) -> OrbitPrior | OrbitPosedPrior:
    latent, q = model.representation, model.encode(Batch(images(3)))
    if isinstance(model, PoseVAE):
        frames = TemplateFrames(3)
        frames.turn.copy_(model.symmetry.ambient.sample(3, shift=0.0))
        prior, middles = OrbitPosedPrior(latent, 3, 2, frames=frames), q.content.loc
    else:
        prior = OrbitPrior(latent, model.symmetry.ambient, 3, 2)
        middles = q.loc[:, latent.slices.vector]
    mixture = prior.mixture  # sharp, so that images are of one kind and pose for sure
    mixture.loc.data.copy_(middles)
    size = middles.square().mean(0)
    copies = mixture.representation.copy_index
    count = torch.zeros(mixture.log_scale.shape[1])
    by_copy = count.index_add(0, copies, size) / count.index_add(0, copies, torch.ones_like(size))
    mixture.log_scale.data.copy_(0.5 * by_copy.log() - 2)
    mixture.factor.data.normal_().mul_(0.1 * size.sqrt()[:, None])
    return prior


def images(n: int = 16) -> torch.Tensor:
    """Blurred noise in the middle of black images, (n, 1, SIZE, SIZE)."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(n, 1, SIZE, SIZE, generator=generator)
    points = torch.arange(SIZE) - (SIZE - 1) / 2
    window = torch.exp(-0.5 * (points / 3).square())
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    return blurred * window * window[:, None]
