"""Walks through a latent: along an orbit of the group, or along one irrep copy.

    orbit      D(g . E(x)) for many g: pose moves, content stays
    traversal  D(z + a e) along a copy of psi_0 or sigma,
               D(z with one pair turned by a) along a copy of psi_l, l >= 1

Turning one pair alone, and not the rest, changes the angle between the parts of an object: that is
content too. Both commute with rotations and shifts.
"""

import io
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.symmetry.blocks import Block
from eqvae.symmetry.motions import cos_sin, motion
from eqvae.symmetry.representations import Representation


def content_directions(representation: Representation) -> list[tuple[str, int]]:
    """All (block, copy) that `changed` can walk along: every irrep copy but position and scale."""
    return [
        (name, copy)
        for name, block in _content_blocks(representation).items()
        for copy in range(block.copies)
    ]


def changed(
    representation: Representation, z: Tensor, block: str, copy: int, amount: float
) -> Tensor:
    """Latents moved along one irrep copy.

    Args:
        representation: of the latents.
        z: latents, (B, D).
        block: name of one of the representation's blocks, such as "psi0".
        copy: which copy in the block, from 0.
        amount: added to the coordinate (the prior's standard deviation is 1); for psi_l, l >= 1,
            the angle in radians by which the pair is turned.

    Returns:
        The changed latents, (B, D).

    Raises:
        ValueError: if the latent has no such block or copy.
    """
    known = _content_blocks(representation)
    if block not in known:
        raise ValueError(f"block must be one of {sorted(known)}; got {block!r}.")
    if not 0 <= copy < known[block].copies:
        raise ValueError(f"copy must lie in 0..{known[block].copies - 1} for {block}; got {copy}.")
    start = known[block].start + copy * known[block].dim
    z = z.clone()
    if known[block].dim == 1:
        z[:, start] += amount
    else:
        cos, sin = cos_sin(torch.as_tensor(amount, dtype=z.dtype, device=z.device))
        re, im = z[:, start].clone(), z[:, start + 1].clone()
        z[:, start], z[:, start + 1] = cos * re - sin * im, sin * re + cos * im
    return z


def _content_blocks(representation: Representation) -> dict[str, Block]:
    """All blocks by name, but position and scale."""
    parts = representation.slices
    return {
        b.name: b for b in representation.blocks if b.slice not in (parts.position, parts.scale)
    }


def by_spread(model: Model, batch: Batch, block: str) -> list[int]:
    """The copies of a block, first the ones that tell images apart the most.

    A copy that the model leaves unused stays at the prior's mean for every image.

    Args:
        model: whose latents they are.
        batch: images.
        block: name of one of the representation's blocks, such as "psi0".
    """
    (part,) = [b for b in model.representation.blocks if b.name == block]
    with torch.no_grad():
        means = model.encode(batch).mode[:, part.slice].unflatten(1, (part.copies, part.dim))
    return means.var(dim=0).sum(dim=1).argsort(descending=True).tolist()


def latent_traversal(
    model: Model, z: Tensor, block: str, copy: int, values: Sequence[float] | Tensor
) -> Tensor:
    """Images along one irrep copy.

    Args:
        model: whose latent it is.
        z: one latent, (1, D).
        block: name of one of the representation's blocks, such as "psi0".
        copy: which copy in the block, from 0.
        values: amounts, see `changed`, (V,).

    Returns:
        Images, (V, C, H, H).
    """
    walk = [changed(model.representation, z, block, copy, float(value)) for value in values]
    with torch.no_grad():
        return model.domain.to_pixels(model.decode(torch.cat(walk)))


def orbit_grid(model: Model, batch: Batch, angles: Tensor, shifts: Tensor) -> Tensor:
    """Images D(g . E(x)) for every shift (rows) and every angle (columns).

    Args:
        model: whose latents move.
        batch: one image.
        angles: radians, (A,).
        shifts: pixels, (S, 2).

    Returns:
        Images, (S, A, C, H, H).
    """
    g = motion(angle=angles.repeat(len(shifts)), shift=shifts.repeat_interleave(len(angles), dim=0))
    with torch.no_grad():
        z = model.encode(batch).mode.expand(len(g), -1)
        images = model.domain.to_pixels(model.decode(model.representation.act(g.to(z), z)))
    return images.unflatten(0, (len(shifts), len(angles)))


def scale_walk(model: Model, batch: Batch, scales: Tensor) -> Tensor:
    """Images D(g . E(x)) of an object at every scale, in its place and upright as it is.

    Args:
        model: whose latent has a scale.
        batch: one image.
        scales: relative to that of the image, (S,).

    Returns:
        Images, (S, C, H, H).

    Raises:
        ValueError: if the latent has no scale.
    """
    latent = model.representation
    if not latent.scale:
        raise ValueError(
            f"model must have a latent with a scale to walk along it; got {latent}. Train it with "
            "symmetry=sim2."
        )
    with torch.no_grad():
        z = model.encode(batch).mode.expand(len(scales), -1)
        # the motion that scales about the object: t stays where it is
        t = z[:, latent.slices.position]
        g = motion(
            shift=(1 - scales.to(t))[:, None] * t, log_scale=scales.log().to(t), dtype=t.dtype
        )
        return model.domain.to_pixels(model.decode(latent.act(g, z)))


def grid_picture(
    images: Tensor, rows: Sequence[str], columns: Sequence[str], title: str = ""
) -> Image.Image:
    """Images (R, K, C, H, H) in rows and columns, with a label at each row and column."""
    count_rows, count_columns, channels, size, _ = images.shape
    tiles = images.detach().float().cpu().clamp(0, 1).permute(0, 3, 1, 4, 2)
    mosaic = tiles.reshape(count_rows * size, count_columns * size, channels).numpy()
    if channels != 3:  # grey, or channels that are no colours
        mosaic = mosaic.mean(axis=-1)
    figure = Figure(figsize=(count_columns + 1.2, count_rows + 0.8), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([(k + 0.5) * size - 0.5 for k in range(count_columns)], columns)
    axes.set_yticks([(k + 0.5) * size - 0.5 for k in range(count_rows)], rows)
    axes.tick_params(length=0)
    for edge in range(1, count_rows):
        axes.axhline(edge * size - 0.5, color="white", linewidth=1)
    for edge in range(1, count_columns):
        axes.axvline(edge * size - 0.5, color="white", linewidth=1)
    axes.set_title(title)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return Image.open(file)
