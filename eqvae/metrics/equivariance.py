"""How far a trained model is from f(g x) = g f(x): relative errors by motion, beside the test's own.

    encoder     |E(g x) - g E(x)| / |v|            latents; position in units of its prior (see below)
    decoder     |D(g z) - g D(z)| / |D(z)|         images, on the inscribed disc
    round trip  |D(E(g x)) - g D(E(x))| / |D(E(x))|

g D(z) is the decoder's own rendering on the moved grid where it has one (`render`), else Fourier
interpolation, whose error is the resampling floor |g^-1 g x - x| / |x| / 2 printed beside it. Images that
are moved exactly (`eqvae.testing.GaussianScenes`) leave no floor under the encoder.

Decibels follow Karras et al., Alias-free generative adversarial networks (2021), appendix E,
https://arxiv.org/abs/2106.12423: EQ-R and EQ-T = 10 log10(I_max^2 / mean squared error), with I_max = 1,
the range of our images.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from eqvae.domains.grid import disc_mask, pixel_coordinates
from eqvae.symmetry.actions import act_on_image
from eqvae.symmetry.motions import apply, inverse, motion
from eqvae.symmetry.representations import LatentRepresentation
from eqvae.vae import VAE

Move = Callable[[Tensor], Tensor]  # motions (1, 4) -> moved images (B, C, H, H)


def angle_sweep(step: float = 5.0) -> Tensor:
    """Rotations by step, 2 step, ... below 360 degrees, (n, 4)."""
    return motion(angle=torch.arange(step, 360, step) * (math.pi / 180))


def subpixel_shifts(n: int = 16, seed: int = 0) -> Tensor:
    """Shifts uniform in [-1/2, 1/2]^2 pixels, (n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return motion(shift=torch.rand(n, 2, generator=generator) - 0.5)


def latent_error(
    representation: LatentRepresentation,
    actual: Tensor,
    expected: Tensor,
    position_scale: float = 5.0,
) -> float:
    """Relative error of latents with the position in units of its prior's standard deviation.

        sqrt( sum |dv|^2 + |dt|^2 / s^2 ) / sqrt( sum |v|^2 ),     sums over the batch.

    The position does not enter the denominator: it is large for a far object, whatever the error.

    Args:
        representation: the latent space.
        actual: latents (B, D), as E(g x).
        expected: latents (B, D), as g . E(x).
        position_scale: s, pixels.

    Returns:
        The error; 0 is perfect, and about 1.4 what unrelated latents give.
    """
    difference = actual - expected
    if not representation.position:
        return (difference.norm() / expected.norm()).item()
    content = expected[:, 2:] if representation.dim > 2 else expected / position_scale
    difference = torch.cat([difference[:, :2] / position_scale, difference[:, 2:]], dim=1)
    return (difference.norm() / content.norm()).item()


@torch.no_grad()
def encoder_errors(vae: VAE, move: Move, motions: Tensor) -> Tensor:
    """Relative error of the posterior mode at each motion, shape (len(motions),); lower is better."""
    still = vae.encode(move(motion())).mode
    scale = vae.prior.scale[0].item()
    errors = []
    for g in motions[:, None]:
        expected = vae.representation.act(g.expand(len(still), -1).to(still), still)
        moved = vae.encode(move(g)).mode
        errors.append(latent_error(vae.representation, moved, expected, scale))
    return torch.tensor(errors)


@torch.no_grad()
def decoder_errors(vae: VAE, z: Tensor, motions: Tensor) -> tuple[Tensor, Tensor]:
    """Relative error, and mean squared error on the inscribed disc, at each motion."""
    still = vae.decode(z)
    errors = [
        _disc_errors(vae.decode(vae.representation.act(g, z)), move_decoded(vae, g, z, still))
        for g in _each(motions, z)
    ]
    relative, squared = zip(*errors, strict=True)
    return torch.tensor(relative), torch.tensor(squared)


@torch.no_grad()
def round_trip_errors(vae: VAE, move: Move, motions: Tensor) -> Tensor:
    """Relative error of encode-then-decode at each motion."""
    z = vae.encode(move(motion())).mode
    still = vae.decode(z)
    errors = []
    for g in motions[:, None]:
        again = vae.decode(vae.encode(move(g)).mode)
        expected = move_decoded(vae, g.expand(len(z), -1).to(z), z, still)
        errors.append(_disc_errors(again, expected)[0])
    return torch.tensor(errors)


@torch.no_grad()
def resampling_floor(x: Tensor, motions: Tensor) -> Tensor:
    """Half the relative error of moving images there and back: what one resampling alone costs."""
    errors = []
    for g in _each(motions, x):
        back = act_on_image(inverse(g), act_on_image(g, x, "fourier"), "fourier")
        errors.append(_disc_errors(back, x)[0] / 2)
    return torch.tensor(errors)


@torch.no_grad()
def elbo_change(vae: VAE, move: Move, motions: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Mean |ELBO(g x) - ELBO(x)| in nats and relative to mean |ELBO(x)|, at each motion.

    Both sides draw the same noise, turned with the object, so that nothing but the model differs.
    """
    x = move(motion())
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(x), vae.representation.dim, generator=generator).to(x)
    still = _elbo(vae, x, noise)
    changes = []
    for g in motions[:, None]:
        turn = g.expand(len(x), -1).to(x).clone()
        turn[:, 2:] = 0
        changes.append(
            (_elbo(vae, move(g), vae.representation.act(turn, noise)) - still).abs().mean()
        )
    changes = torch.stack(changes)
    return changes, changes / still.abs().mean()


def decibels(squared_errors: Tensor) -> float:
    """10 log10(1 / mean squared error) for images in [0, 1]; higher is better."""
    return -10 * math.log10(squared_errors.mean().item() + 1e-30)


def move_decoded(vae: VAE, g: Tensor, z: Tensor, image: Tensor) -> Tensor:
    """g D(z): rendered on the moved grid where the decoder can, else interpolated from `image`."""
    render = getattr(vae.decoder, "render", None)
    if render is None:
        return act_on_image(g, image, "fourier")
    size = image.shape[-1]
    grid = pixel_coordinates(size, size).to(z).reshape(1, -1, 2).expand(len(z), -1, -1)
    return vae.likelihood.mean(render(z, apply(inverse(g), grid)).reshape(image.shape))


def _elbo(vae: VAE, x: Tensor, noise: Tensor) -> Tensor:
    q = vae.encode(x)
    log_likelihood = vae.likelihood.log_prob(x, vae.decoder(q.loc + q.scale * noise))
    return log_likelihood - sum(vae.prior.kl(q).values())


def _each(motions: Tensor, like: Tensor):
    for g in motions[:, None]:
        yield g.expand(len(like), -1).to(like)


def _disc_errors(actual: Tensor, expected: Tensor) -> tuple[float, float]:
    mask = disc_mask(actual.shape[-1]).to(actual)
    difference, scale = (actual - expected) * mask, (expected * mask).norm().clamp_min(1e-12)
    squared = difference.square().sum() / (mask.sum() * actual.shape[0] * actual.shape[1])
    return (difference.norm() / scale).item(), squared.item()
