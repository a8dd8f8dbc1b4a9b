"""How far a function is from f(g x) = g f(x): relative errors by motion and by image.

    error(g) = sqrt( sum_i |f(g x_i) - g f(x_i)|^2 / sum_i |g f(x_i)|^2 )        0 for a perfect model

The function, how its input moves and how its output moves are callables, so any model can be measured:

    encoder      latents, moved by the representation          round trip   images, D(E(g x)) and g D(E(x))
    decoder      images, moved on the grid                     invariant    an output that stays as it is

Quarter turns, mirrors and whole-pixel shifts are exact. At other motions an image has to be resampled, and
the error is read beside the resampling floor |g^-1 g x - x| / |x| / 2, what the test itself costs. Images
that are moved exactly (`eqvae.testing.GaussianScenes`) leave no such floor.

Decibels follow Karras et al., Alias-free generative adversarial networks (2021), appendix E,
https://arxiv.org/abs/2106.12423: EQ-R and EQ-T = 10 log10(I_max^2 / mean squared error), with I_max = 1,
the range of our images (theirs is 2), on the inscribed disc.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.domains.grid import disc_mask, pixel_coordinates
from eqvae.domains.square import act_on_image
from eqvae.metrics.intervals import mean_interval
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import apply, inverse, motion
from eqvae.symmetry.representations import Representation

Move = Callable[[Tensor], Tensor]  # one motion (1, 4) -> moved inputs (B, ...)
Action = Callable[[Tensor, Tensor], Tensor]  # motions (B, 4), outputs (B, ...) -> moved outputs
Measure = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # -> |difference|^2, |expected|^2, (B,)


@dataclass(frozen=True)
class Errors:
    """Squared errors of one function at several motions.

    Attributes:
        motions: (M, 4).
        squared: |f(g x) - g f(x)|^2, (M, B).
        scale: |g f(x)|^2, (M, B).
        unrelated: the same error against the next image's g f(x), (M, B): what chance gives.
    """

    motions: Tensor
    squared: np.ndarray
    scale: np.ndarray
    unrelated: np.ndarray

    @property
    def relative(self) -> np.ndarray:
        """The relative error at each motion, (M,); lower is better, 0 is perfect."""
        return np.sqrt(self.squared.sum(1) / np.maximum(self.scale.sum(1), 1e-24))

    def score(
        self, page: str = "equivariance-error", seed: int = 0, *, relative: bool = True
    ) -> Score:
        """Root mean square over motions and images, with a bootstrap interval over images.

        The floor is measured on pairs of different images: about sqrt(2) for outputs without a common
        part, less where all outputs look alike. Outputs that are the same for every image get no score.

        Args:
            page: heading in docs/metrics.md.
            seed: of the bootstrap.
            relative: False for outputs in a unit of their own, which may well be equal for all images.
        """
        n, total = self.squared.shape[1], self.scale.sum()
        known = {"n": n, "better": "lower", "ceiling": 0.0, "page": page}
        if not np.isfinite(self.squared).all():
            return Score.null("the outputs are not finite", **known)
        if total <= 1e-20 * max(1, self.scale.size):
            return Score.null("the outputs are zero, so there is no relative error", **known)
        if relative and n > 1 and self.unrelated.sum() <= 1e-16 * total:
            return Score.null("the outputs are the same for every image", **known)
        interval = mean_interval(self.squared.sum(0), self.scale.sum(0), seed=seed)
        return Score(
            math.sqrt(self.squared.sum() / total),
            floor=math.sqrt(self.unrelated.sum() / total) if n > 1 else None,
            interval=interval and tuple(math.sqrt(max(end, 0.0)) for end in interval),
            **known,
        )


def equivariance_errors(
    f: Callable[[Tensor], Tensor],
    move: Move,
    act: Action,
    motions: Tensor,
    measure: Measure | None = None,
) -> Errors:
    """The errors |f(g x) - g f(x)| of any function.

    Args:
        f: the function, inputs (B, ...) to outputs (B, ...).
        move: one motion (1, 4) -> the inputs moved by it; the identity gives them unmoved.
        act: how outputs move, (g (B, 4), f(x)) -> g f(x); `keep` for an invariant output.
        motions: (M, 4).
        measure: (actual, expected) -> squared error and squared norm of each image; default `norms`.

    Example:
        >>> x = torch.rand(4, 1, 8, 8)
        >>> move = lambda g: act_on_image(g.expand(4, -1), x)
        >>> blur = lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        >>> turn = motion(angle=math.pi / 2)
        >>> bool(equivariance_errors(blur, move, act_on_image, turn).relative < 1e-6)
        True
    """
    with torch.no_grad():
        still = f(move(motion()))
        actual = (f(move(g)) for g in motions[:, None])
        expected = (act(g, still) for g in each(motions, still))
        return compare(motions, actual, expected, measure)


def compare(
    motions: Tensor,
    actual: Iterable[Tensor],
    expected: Iterable[Tensor],
    measure: Measure | None = None,
) -> Errors:
    """Errors between f(g x) and g f(x) that are computed already, one pair for each motion."""
    measure = measure or norms
    rows = []
    for a, e in zip(actual, expected, strict=True):
        squared, scale = measure(a, e)
        unrelated, _ = measure(a, e.roll(1, 0))
        rows.append(torch.stack([squared, scale, unrelated]))
    table = torch.stack(rows).double().cpu().numpy()
    return Errors(motions, *table.transpose(1, 0, 2))


def keep(g: Tensor, y: Tensor) -> Tensor:
    """The trivial action: an invariant output."""
    return y


def norms(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Squared Euclidean norms over everything but the batch."""
    difference = (actual - expected).flatten(1)
    return difference.square().sum(1), expected.flatten(1).square().sum(1)


def disc_norms(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norms of images on the inscribed disc, which rotations map to itself."""
    mask = disc_mask(actual.shape[-1]).to(actual)
    return norms(actual * mask, expected * mask)


def latent_norms(representation: Representation, position_scale: float = 5.0) -> Measure:
    """Squared norms of latents with the position in units of its prior's standard deviation s.

        |dv|^2 + |dt|^2 / s^2    and    |v|^2.

    The position does not enter the norm: it is large for a far object, whatever the error.
    """

    def measure(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
        if not representation.position:
            return norms(actual, expected)
        difference = actual - expected
        squared = (difference[:, :2] / position_scale).square().sum(1)
        squared = squared + difference[:, 2:].square().sum(1)
        content = expected[:, 2:] if representation.dim > 2 else expected / position_scale
        return squared, content.square().sum(1)

    return measure


def latent_error(
    representation: Representation,
    actual: Tensor,
    expected: Tensor,
    position_scale: float = 5.0,
) -> float:
    """Relative error of latents (B, D), as E(g x) and g . E(x); see `latent_norms`.

    Returns:
        The error over the batch; 0 is perfect, and about 1.4 what unrelated latents give.
    """
    squared, scale = latent_norms(representation, position_scale)(actual, expected)
    return (squared.sum() / scale.sum()).sqrt().item()


def angle_sweep(step: float = 5.0, reflection: bool = False) -> Tensor:
    """Rotations by step, 2 step, ... below 360 degrees, (n, 4).

    With `reflection` each follows a mirror, and 0 degrees, the mirror alone, is among them.
    """
    angle = torch.arange(0.0 if reflection else step, 360, step) * (math.pi / 180)
    return motion(angle=angle, reflection=float(reflection))


def subpixel_shifts(n: int = 16, seed: int = 0) -> Tensor:
    """Shifts uniform in [-1/2, 1/2]^2 pixels, (n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return motion(shift=torch.rand(n, 2, generator=generator) - 0.5)


def band_limited(x: Tensor, cutoff: float = 0.75) -> Tensor:
    """Images that can be resampled nearly without loss: low-pass, on the inscribed disc.

    Frequencies fall from 1 to 0 between 2/3 of the cutoff and the cutoff, and the image from 1 to 0 over
    the outer eighth of the disc, both as half a cosine.

    Args:
        x: images (B, C, H, H).
        cutoff: fraction of the grid's highest frequency, pi per pixel.
    """
    size = x.shape[-1]
    frequency = torch.fft.fftfreq(size, 0.5).to(x)  # in units of pi per pixel
    frequency = torch.hypot(frequency[:, None], frequency)
    low_pass = _half_cosine(frequency, 2 / 3 * cutoff, cutoff)
    return torch.fft.ifft2(torch.fft.fft2(x * border_window(size).to(x)) * low_pass).real


def border_window(size: int) -> Tensor:
    """1 on the inner 7/8 of the inscribed disc, then half a cosine down to 0 at its rim, (H, W)."""
    radius = pixel_coordinates(size, size, dtype=torch.float64).norm(dim=-1)
    return _half_cosine(radius, 7 / 8 * size / 2, size / 2)


def _half_cosine(r: Tensor, inner: float, outer: float) -> Tensor:
    """1 up to inner, 0 from outer."""
    return 0.5 + 0.5 * torch.cos(math.pi * ((r - inner) / (outer - inner)).clamp(0, 1))


def resampling_errors(x: Tensor, motions: Tensor) -> Errors:
    """Half the error of moving images there and back by Fourier interpolation, on the disc."""

    def there_and_back(g: Tensor) -> Tensor:
        return act_on_image(inverse(g), act_on_image(g, x, "fourier"), "fourier")

    with torch.no_grad():
        back = (x + (there_and_back(g) - x) / 2 for g in each(motions, x))
        return compare(motions, back, (x for _ in motions), disc_norms)


def resampling_floor(x: Tensor, motions: Tensor) -> Tensor:
    """`resampling_errors` at each motion, relative, (M,): what one resampling alone costs."""
    return torch.from_numpy(resampling_errors(x, motions).relative)


def mean_squares(errors: Errors, shape: torch.Size) -> np.ndarray:
    """Mean squared error for each pixel of the inscribed disc, (M, B), from errors by `disc_norms`."""
    pixels = disc_mask(shape[-1]).sum().item() * math.prod(shape[1:-2])
    return errors.squared / pixels


def decibels(squared_errors: Tensor) -> float:
    """10 log10(1 / mean squared error) for images in [0, 1]; higher is better."""
    return -10 * math.log10(float(squared_errors.mean()) + 1e-30)


def decibel_score(
    errors: Errors, shape: torch.Size, floor: Errors | None = None, seed: int = 0
) -> Score:
    """EQ-R or EQ-T of decoded images, in decibels; the floor is what unrelated images give.

    Args:
        errors: of the decoder, by `disc_norms`.
        shape: of the images, (B, C, H, H).
        floor: the images' own `resampling_errors`, which then are the ceiling; None if the expected
            images were rendered without interpolation.
        seed: of the bootstrap.
    """
    squared = mean_squares(errors, shape)
    pixels = errors.squared.sum() / max(squared.sum(), 1e-300)
    interval = mean_interval(squared.mean(0), seed=seed)
    chance = errors.unrelated.mean() / pixels if squared.sum() else 0.0
    return Score(
        decibels(squared),
        n=squared.shape[1],
        floor=decibels(np.asarray(chance)) if squared.shape[1] > 1 and chance else None,
        ceiling=None if floor is None else decibels(mean_squares(floor, shape)),
        interval=interval
        and (decibels(np.asarray(interval[1])), decibels(np.asarray(max(interval[0], 0.0)))),
        unit="dB",
        page="eq-r-and-eq-t",
    )


def each(motions: Tensor, like: Tensor) -> Iterable[Tensor]:
    """The motions one by one, each for a whole batch: (B, 4) of its type and device."""
    for g in motions[:, None]:
        yield g.expand(len(like), -1).to(like)


def encoder_errors(vae: Any, move: Move, motions: Tensor) -> Tensor:
    """Relative error of the posterior mode at each motion, shape (M,); lower is better.

    Here and below `vae` is any model with `.encode(x).mode`, `.decode(z)`, `.representation` and
    `.prior.scale`.
    """
    measure = latent_norms(vae.representation, vae.prior.scale[0].item())
    act = vae.representation.act
    errors = equivariance_errors(lambda x: vae.encode(x).mode, move, act, motions, measure)
    return torch.from_numpy(errors.relative)


def decoder_errors(vae: Any, z: Tensor, motions: Tensor) -> tuple[Tensor, Tensor]:
    """Relative error, and mean squared error on the inscribed disc, at each motion."""

    def move(g: Tensor) -> Tensor:
        return vae.representation.act(g.expand(len(z), -1).to(z), z)

    def act(g: Tensor, image: Tensor) -> Tensor:
        return move_decoded(vae, g, z, image)

    errors = equivariance_errors(vae.decode, move, act, motions, disc_norms)
    with torch.no_grad():
        shape = vae.decode(z[:1]).shape
    squared = torch.from_numpy(mean_squares(errors, shape).mean(1))
    return torch.from_numpy(errors.relative), squared


def round_trip_errors(vae: Any, move: Move, motions: Tensor) -> Tensor:
    """Relative error of encode-then-decode at each motion."""
    with torch.no_grad():
        z = vae.encode(move(motion())).mode
    errors = equivariance_errors(
        lambda x: vae.decode(vae.encode(x).mode),
        move,
        lambda g, image: move_decoded(vae, g, z, image),
        motions,
        disc_norms,
    )
    return torch.from_numpy(errors.relative)


def move_decoded(vae: Any, g: Tensor, z: Tensor, image: Tensor) -> Tensor:
    """g D(z): rendered on the moved grid where the decoder can, else interpolated from `image`."""
    render = getattr(vae.decoder, "render", None)
    if render is None:
        return act_on_image(g, image, "fourier")
    size = image.shape[-1]
    grid = pixel_coordinates(size, size).to(z).reshape(1, -1, 2).expand(len(z), -1, -1)
    return vae.likelihood.mean(render(z, apply(inverse(g), grid)).reshape(image.shape))


def elbo_change(vae: Any, move: Move, motions: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Mean |ELBO(g x) - ELBO(x)| in nats and relative to mean |ELBO(x)|, at each motion.

    Both sides draw the same noise, turned with the object, so that nothing but the model differs.
    """
    dim, act = vae.representation.dim, vae.representation.act
    still, moved = elbo_values(vae.elbo, act, dim, move, motions, seed)
    changes = (moved - still).abs().mean(1)
    return changes, changes / still.abs().mean()


@torch.no_grad()
def elbo_values(
    elbo: Callable[[Tensor, Tensor], Tensor],
    act: Action,
    dim: int,
    move: Move,
    motions: Tensor,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """One-sample ELBOs of the images, (B,), and of the moved images, (M, B), nats.

    Args:
        elbo: (images, noise (B, dim)) -> ELBO (B,).
        act: how latents move, and so their noise.
        dim: of the latents.
        move: one motion (1, 4) -> the images moved by it.
        motions: (M, 4).
        seed: of the noise.
    """
    x = move(motion())
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(x), dim, generator=generator).to(x)
    moved = []
    for g in motions[:, None]:
        turn = g.expand(len(x), -1).to(x).clone()
        turn[:, 2:] = 0
        moved.append(elbo(move(g), act(turn, noise)))
    return elbo(x, noise), torch.stack(moved)
