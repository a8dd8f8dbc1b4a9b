"""Errors of a model's own functions: encoder, decoder, both in a row, and the ELBO."""

from collections.abc import Callable

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.metrics.equivariance.decibels import mean_squares
from eqvae.metrics.equivariance.errors import Action, Move, each, equivariance_errors
from eqvae.metrics.equivariance.norms import latent_norms, masked_norms
from eqvae.models.model import Model
from eqvae.symmetry.motions import motion


def encoder_errors(model: Model, move: Move, motions: Tensor) -> Tensor:
    """Relative error of the posterior mode at each motion, shape (M,); lower is better.

    Args:
        model: whose prior has a `.scale`.
        move: one motion (1, 4) -> the images moved by it.
        motions: (M, 4).
    """
    measure = latent_norms(model.representation.slices.position, model.prior.scale[0].item())
    act = model.representation.act
    errors = equivariance_errors(lambda x: _mode(model, x), move, act, motions, measure)
    return torch.from_numpy(errors.relative)


def decoder_errors(model: Model, z: Tensor, motions: Tensor) -> tuple[Tensor, Tensor]:
    """Relative error, and mean squared error on the inscribed disc, at each motion."""

    def move(g: Tensor) -> Tensor:
        return model.representation.act(g.expand(len(z), -1).to(z), z)

    def act(g: Tensor, image: Tensor) -> Tensor:
        return moved_decoding(model, g, z, image)

    with torch.no_grad():
        still = model.decode(z)
    measure = masked_norms(model.domain)
    errors = equivariance_errors(model.decode, move, act, motions, measure, still)
    squared = mean_squares(errors, still.shape, model.domain).mean(1)
    return torch.from_numpy(errors.relative), torch.from_numpy(squared)


def round_trip_errors(model: Model, move: Move, motions: Tensor) -> Tensor:
    """Relative error of encode-then-decode at each motion."""
    with torch.no_grad():
        z = _mode(model, move(motion()))
    errors = equivariance_errors(
        lambda x: model.decode(_mode(model, x)),
        move,
        lambda g, image: moved_decoding(model, g, z, image),
        motions,
        masked_norms(model.domain),
    )
    return torch.from_numpy(errors.relative)


def moved_decoding(model: Model, g: Tensor, z: Tensor, image: Tensor) -> Tensor:
    """g D(z): rendered at moved points where the decoder can, else interpolated from `image`."""
    render = getattr(model.decoder, "render", None)
    domain = model.domain
    if render is None:
        return domain.act(g, image, "fourier")
    points = domain.points().to(z).flatten(0, -2).expand(len(z), -1, -1)
    points = domain.group.act(domain.group.inverse(g), points)
    return model.likelihood.mean(render(model.framed(z), points).reshape(image.shape))


def elbo_change(model: Model, move: Move, motions: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Mean |ELBO(g x) - ELBO(x)| in nats and relative to mean |ELBO(x)|, at each motion.

    Both sides draw the same noise, moved with the object, so that nothing but the model differs.
    """
    still, moved = elbo_values(
        model.elbo,
        model.representation.act,
        Batch(move(motion())),
        lambda g: Batch(move(g[:1])),
        motions,
        model.representation.dim,
        seed,
    )
    changes = (moved - still).abs().mean(1)
    return changes, changes / still.abs().mean()


@torch.no_grad()
def elbo_values(
    elbo: Callable[[Batch, Tensor], Tensor],
    act: Action,
    batch: Batch,
    move: Callable[[Tensor], Batch],
    motions: Tensor,
    dim: int,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """One-sample ELBOs of the images, (B,), and of the moved images, (M, B), nats.

    Args:
        elbo: (images, noise (B, dim)) -> ELBO (B,).
        act: how latents move, and so their noise, which stays about the origin.
        batch: the images, unmoved.
        move: one motion for each image (B, E) -> the images moved by it.
        motions: (M, E).
        dim: of the latents.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(batch), dim, generator=generator).to(batch.image)
    moved = []
    for g in each(motions, noise):
        turned = act(g, noise) - act(g, torch.zeros_like(noise))
        moved.append(elbo(move(g), turned))
    return elbo(batch, noise), torch.stack(moved)


def _mode(model: Model, x: Tensor) -> Tensor:
    return model.encode(Batch(x)).mode
