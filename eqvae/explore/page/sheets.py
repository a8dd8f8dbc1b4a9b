"""Thumbnails in sheets, 16 x 16 of them in a WebP file: as they are, and upright."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from eqvae.data.batch import Batch
from eqvae.domains import Domain
from eqvae.embedding.upright import upright

SIDE = 16  # thumbnails in a row of a sheet
LARGEST = 64  # pixels, side of a thumbnail
KINDS = ("image", "upright")
_QUALITY = 90  # of WebP, out of 100


def pixels(images: Tensor, size: int) -> np.ndarray:
    """Images (B, C, H, H) in [0, 1] as colours (B, size, size, 3); other than 3 channels become grey."""
    x = images.float().clamp(0, 1)
    x = x if x.shape[1] == 3 else x.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    if x.shape[-1] > size:
        x = interpolate(x, size=(size, size), mode="area")
    return (255 * x).round().byte().permute(0, 2, 3, 1).cpu().numpy()


@torch.no_grad()
def write_sheets(batches: Iterable[Batch], poses: Tensor, domain: Domain, folder: Path) -> int:
    """Write image-000.webp, upright-000.webp, ... and return the side of a thumbnail in pixels.

    Args:
        batches: of the images, in order.
        poses: of all of them, (N, 4).
        domain: where they live.
        folder: that exists.
    """
    waiting: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    size = min(LARGEST, domain.shape[-1])
    for number, tiles in enumerate(_sheets(batches, poses, domain, size, waiting)):
        for kind, part in tiles.items():
            sheet = _sheet(part, size)
            sheet.save(folder / f"{kind}-{number:03d}.webp", quality=_QUALITY, method=2)
    return size


def _sheets(
    batches: Iterable[Batch],
    poses: Tensor,
    domain: Domain,
    size: int,
    waiting: dict[str, list[np.ndarray]],
) -> Iterator[dict[str, list[np.ndarray]]]:
    """As many thumbnails of each kind as fill a sheet; the last as many as there are."""
    first, most = 0, SIDE * SIDE
    for batch in batches:
        g = poses[first : first + len(batch)]
        first += len(batch)
        _, moved, grey = upright(batch, g, domain)
        waiting["image"].extend(pixels(batch.image, size))
        waiting["upright"].extend(pixels(moved + grey, size))
        while len(waiting["image"]) >= most:
            yield {kind: tiles[:most] for kind, tiles in waiting.items()}
            for tiles in waiting.values():
                del tiles[:most]
    if waiting["image"]:
        yield dict(waiting)


def _sheet(tiles: list[np.ndarray], size: int) -> Image.Image:
    rows = -(-len(tiles) // SIDE)
    sheet = np.zeros((rows * SIDE, size, size, 3), np.uint8)
    sheet[: len(tiles)] = tiles
    whole = sheet.reshape(rows, SIDE, size, size, 3).swapaxes(1, 2)
    return Image.fromarray(whole.reshape(rows * size, SIDE * size, 3))
