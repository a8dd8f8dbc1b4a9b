"""Pictures of what a model does: reconstructions, prior samples and orbits.

An orbit shows the law D(E(g x)) = D(g . E(x)): one row moves the image, one encodes and decodes the
moved image, one moves the latent instead. Under a hard symmetry the last two are equal.
"""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from eqvae.domains.square import act_on_image
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import motion

_GAP = 3  # pixels between tiles
_TEXT = 15  # pixels, height of the letters
_LABELS = 148  # pixels, width of the column of row labels
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_CONTRAST = 5  # of the difference that a hard symmetry leaves
_ORBIT_ROWS = ("move the image", "encode, decode it", "move the latent")


def reconstruction_picture(vae: VAE, x: Tensor) -> Image.Image:
    """Images, their reconstructions from the posterior's mode, and the difference.

    Args:
        vae: the model.
        x: images, (B, C, H, H).
    """
    with torch.no_grad():
        again = vae(x, sample=False).reconstruction
    rows = [("image", x), ("reconstruction", again), ("difference", (x - again).abs())]
    return _stack([_panel(rows, f"reconstructions: RMS error {_rms(x - again):.3f}")])


def sample_picture(vae: VAE, rows: int = 4, columns: int = 8, seed: int = 0) -> Image.Image:
    """Mean images of draws from the prior."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        images = vae.sample(rows * columns, generator)
    return _stack(
        [_panel([("", part) for part in images.split(columns)], "samples from the prior")]
    )


def orbit_picture(vae: VAE, x: Tensor, max_shift: float = 5.0, columns: int = 9) -> Image.Image:
    """One image's orbit under rotation, and under shifts along a line.

    Args:
        vae: the model.
        x: one image, (1, C, H, H).
        max_shift: the shifts go from -max_shift to max_shift, pixels.
        columns: number of motions in each panel.
    """
    angles = torch.arange(columns) * (2 * math.pi / columns)
    steps = torch.linspace(-max_shift, max_shift, columns)
    turns = motion(angle=angles)
    shifts = motion(shift=torch.stack([steps, steps / 2], dim=1))
    return _stack(
        [
            _orbit_panel(
                vae, x, turns, "rotations", [f"{math.degrees(a):.0f}\u00b0" for a in angles]
            ),
            _orbit_panel(vae, x, shifts, "shifts", [f"{s:+.1f}, {s / 2:+.1f} px" for s in steps]),
        ]
    )


def orbit_frames(
    vae: VAE, x: Tensor, max_shift: float = 5.0, frames: int = 36
) -> list[Image.Image]:
    """A full turn along a figure of eight, for several images: frames of a GIF.

    Args:
        vae: the model.
        x: images, (B, C, H, H), one column each.
        max_shift: half the width of the figure of eight, pixels.
        frames: number of frames.
    """
    pictures = []
    for frame in range(frames):
        a = 2 * math.pi * frame / frames
        shift = (max_shift * math.sin(a), max_shift / 2 * math.sin(2 * a))
        g = motion(angle=a, shift=shift).expand(len(x), -1).to(x)
        moved, encoded, acted = _orbit(vae, x, g)
        rows = list(zip(_ORBIT_ROWS, (moved, encoded, acted), strict=True))
        title = f"{math.degrees(a):3.0f}\u00b0   x {shift[0]:+.1f}   y {shift[1]:+.1f} px"
        pictures.append(_stack([_panel(rows, title, scale=_scale(x.shape[-1]) - 1)]))
    return pictures


def save_gif(frames: list[Image.Image], path: str | Path, milliseconds: int = 90) -> None:
    """Write an endless GIF."""
    palette = frames[0].quantize(256 if _is_coloured(frames[0]) else 64)
    quantized = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    quantized[0].save(
        path,
        save_all=True,
        append_images=quantized[1:],
        duration=milliseconds,
        loop=0,
        optimize=True,
    )


def _orbit(vae: VAE, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """g x, D(E(g x)) and D(g . E(x))."""
    with torch.no_grad():
        moved = act_on_image(g, x)
        return moved, vae.decode(vae.encode(moved).mode), vae.transform(g, x)


def _orbit_panel(vae: VAE, x: Tensor, g: Tensor, title: str, heads: list[str]) -> Image.Image:
    g = g.to(x)
    moved, encoded, acted = _orbit(vae, x.expand(len(g), -1, -1, -1), g)
    error = _rms(encoded - acted) / max(_rms(encoded), 1e-9)
    rows = list(zip(_ORBIT_ROWS, (moved, encoded, acted), strict=True))
    rows.append((f"difference x {_CONTRAST}", _CONTRAST * (encoded - acted).abs()))
    return _panel(rows, f"{title}: rows 2 and 3 differ by {100 * error:.2g} %", heads)


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def _scale(size: int) -> int:
    """How many screen pixels a pixel gets: tiles of about 140."""
    return max(2, round(140 / size))


def _panel(
    rows: list[tuple[str, Tensor]],
    title: str,
    heads: list[str] | None = None,
    scale: int | None = None,
) -> Image.Image:
    """A titled grid of images, one labelled row for each batch."""
    size = rows[0][1].shape[-1]
    scale = scale or _scale(size)
    tile = size * scale
    left = _LABELS if any(label for label, _ in rows) else _GAP
    top = 2 * _TEXT + (_TEXT + 6 if heads else 0)
    columns = max(len(images) for _, images in rows)
    width = left + columns * (tile + _GAP)
    picture = Image.new("RGB", (width, top + len(rows) * (tile + _GAP)), _PAPER)
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT - 3)
    draw.text((left, _TEXT), title, _INK, font, anchor="lm")
    for column, head in enumerate(heads or []):
        middle = left + column * (tile + _GAP) + tile // 2
        draw.text((middle, top - _TEXT // 2 - 2), head, _INK, small, anchor="mm")
    for row, (label, images) in enumerate(rows):
        y = top + row * (tile + _GAP)
        draw.text((left - 10, y + tile // 2), label, _INK, font, anchor="rm")
        for column, image in enumerate(images):
            picture.paste(_tile(image, scale), (left + column * (tile + _GAP), y))
    return picture


def _tile(image: Tensor, scale: int) -> Image.Image:
    """(C, H, H) in [0, 1] -> RGB, every pixel `scale` wide; three channels are colours."""
    image = image if len(image) == 3 else image.mean(dim=0, keepdim=True).expand(3, -1, -1)
    array = (image.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    array = np.repeat(np.repeat(array.cpu().numpy(), scale, axis=0), scale, axis=1)
    return Image.fromarray(array)


def _stack(panels: list[Image.Image]) -> Image.Image:
    margin = 12
    width = max(panel.width for panel in panels) + 2 * margin
    height = sum(panel.height + margin for panel in panels) + margin
    picture, y = Image.new("RGB", (width, height), _PAPER), margin // 2
    for panel in panels:
        picture.paste(panel, (margin, y))
        y += panel.height + margin
    return picture


def _is_coloured(picture: Image.Image) -> bool:
    array = np.asarray(picture).astype(int)
    return bool(np.ptp(array, axis=-1).max() > 2)
