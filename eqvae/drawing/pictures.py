"""Pictures of what a model does: reconstructions, prior samples and orbits.

An orbit shows the law D(E(g x)) = D(g . E(x)): one row moves the image, one encodes and decodes the
moved image, one moves the latent instead. Under a hard symmetry the last two are equal.
"""

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.drawing.tiles import is_coloured, panel, scale_of, stack
from eqvae.files import written
from eqvae.models.model import Model
from eqvae.symmetry.motions import motion

_CONTRAST = 5  # of the difference that a hard symmetry leaves
_ORBIT_ROWS = ("move the image", "encode, decode it", "move the latent")


@torch.no_grad()
def reconstruction_picture(model: Model, batch: Batch) -> Image.Image:
    """Images, their reconstructions from the posterior's mode, and the difference."""
    x, again = batch.image, model.reconstruct(batch, model.encode(batch))
    error, seen = _rms(x - again), model.domain.to_pixels
    x, again = seen(x), seen(again)
    rows = [("image", x), ("reconstruction", again), ("difference", (x - again).abs())]
    return stack([panel(rows, f"reconstructions: RMS error {error:.3f}")])


@torch.no_grad()
def sample_picture(model: Model, rows: int = 4, columns: int = 8, seed: int = 0) -> Image.Image:
    """Mean images of draws from the prior."""
    generator = torch.Generator().manual_seed(seed)
    images = model.domain.to_pixels(model.sample(rows * columns, generator))
    return stack([panel([("", part) for part in images.split(columns)], "samples from the prior")])


@torch.no_grad()
def cluster_picture(
    model: Model, components: int = 12, columns: int = 8, seed: int = 0
) -> Image.Image:
    """The largest components of a fitted prior, upright: the middle of each, and draws from it.

    Args:
        model: with a fitted prior.
        components: how many, one row for each.
        columns: the middle and columns - 1 draws.
        seed: of the draws.
    """
    prior, generator = model.prior, torch.Generator().manual_seed(seed)
    largest = prior.weights.argsort(descending=True)[:components]
    centres = prior.centres()[largest]
    rows = []
    for k, centre in zip(largest.tolist(), centres, strict=True):
        drawn = prior.draw_upright(torch.full((columns - 1,), k), generator)
        images = model.domain.to_pixels(model.decode(torch.cat([centre[None], drawn])))
        rows.append((f"{100 * prior.weights[k]:.1f} %", images))
    heads = ["middle", *[""] * (columns - 1)]
    title = f"the {len(largest)} largest of {len(prior.weights)} components, upright"
    return stack([panel(rows, title, heads)])


def orbit_picture(
    model: Model, batch: Batch, max_shift: float = 5.0, columns: int = 9
) -> Image.Image:
    """One image's orbit under rotation, and under shifts along a line.

    Args:
        model: whose latents move.
        batch: one image.
        max_shift: the shifts go from -max_shift to max_shift, pixels.
        columns: number of motions in each panel.
    """
    angles = torch.arange(columns) * (2 * math.pi / columns)
    steps = torch.linspace(-max_shift, max_shift, columns)
    turns = motion(angle=angles)
    shifts = motion(shift=torch.stack([steps, steps / 2], dim=1))
    degrees = [f"{math.degrees(a):.0f}\u00b0" for a in angles]
    pixels = [f"{s:+.1f}, {s / 2:+.1f} px" for s in steps]
    return stack(
        [
            _orbit_panel(model, batch, turns, "rotations", degrees),
            _orbit_panel(model, batch, shifts, "shifts", pixels),
        ]
    )


def orbit_frames(
    model: Model, batch: Batch, max_shift: float = 5.0, frames: int = 36
) -> list[Image.Image]:
    """A full turn along a figure of eight, for several images: frames of a GIF.

    Args:
        model: whose latents move.
        batch: images, one column each.
        max_shift: half the width of the figure of eight, pixels.
        frames: number of frames.
    """
    pictures, scale = [], scale_of(batch.image.shape[-1]) - 1
    for frame in range(frames):
        a = 2 * math.pi * frame / frames
        shift = (max_shift * math.sin(a), max_shift / 2 * math.sin(2 * a))
        g = motion(angle=a, shift=shift).expand(len(batch), -1)
        seen = map(model.domain.to_pixels, _orbit(model, batch, g))
        rows = list(zip(_ORBIT_ROWS, seen, strict=True))
        title = f"{math.degrees(a):3.0f}\u00b0   x {shift[0]:+.1f}   y {shift[1]:+.1f} px"
        pictures.append(stack([panel(rows, title, scale=scale)]))
    return pictures


def save_gif(frames: list[Image.Image], path: str | Path, milliseconds: int = 90) -> None:
    """Write an endless GIF."""
    palette = frames[0].quantize(256 if is_coloured(frames[0]) else 64)
    quantized = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    with written(path) as partial:
        quantized[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=quantized[1:],
            duration=milliseconds,
            loop=0,
            optimize=True,
        )


@torch.no_grad()
def _orbit(model: Model, batch: Batch, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """g x, D(E(g x)) and D(g . E(x))."""
    g = g.to(batch.image)
    moved = batch.act(g, model.domain)
    return moved.image, model.decode(model.encode(moved).mode), model.transform(g, batch)


def _orbit_panel(
    model: Model, batch: Batch, g: Tensor, title: str, heads: list[str]
) -> Image.Image:
    many = batch[torch.zeros(len(g), dtype=torch.int64)]
    moved, encoded, acted = _orbit(model, many, g)
    error = _rms(encoded - acted) / max(_rms(encoded), 1e-9)
    moved, encoded, acted = map(model.domain.to_pixels, (moved, encoded, acted))
    rows = list(zip(_ORBIT_ROWS, (moved, encoded, acted), strict=True))
    rows.append((f"difference x {_CONTRAST}", _CONTRAST * (encoded - acted).abs()))
    return panel(rows, f"{title}: rows 2 and 3 differ by {100 * error:.2g} %", heads)


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
