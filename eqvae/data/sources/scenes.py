"""What sources that draw their own images share.

A scene is one image's factors, such as shape, size and noise, which the source's seed and the number of
the scene fix. The source draws it at any pose, on a grid of any size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eqvae.symmetry.motions import identity


def drawn_still(
    render: Callable[[Tensor, Tensor, int], Tensor], num_images: int, size: int
) -> dict[str, Any]:
    """`images`, `poses` and `render` of an `ImageSet`: all scenes, drawn at the identity pose."""
    rows = torch.arange(num_images)
    poses = identity(num_images, dtype=torch.float32)
    images = torch.cat([render(part, poses[part], size) for part in rows.split(512)])
    return {"images": images, "poses": poses, "render": render}


def scene_noise(rows: Tensor, size: int, seed: int) -> Tensor:
    """Standard normal noise (B, size, size), each scene's own whatever else is drawn with it."""
    generator = torch.Generator()
    noise = torch.empty(len(rows), size, size)
    for image, row in zip(noise, rows.tolist(), strict=True):
        generator.manual_seed((seed + 1) * 1_000_003 + row)
        torch.randn(size, size, generator=generator, out=image)
    return noise


def as_tuples(values: Any) -> Any:
    """Lists as a YAML file has them, as tuples at every depth; anything else as it is."""
    return tuple(map(as_tuples, values)) if isinstance(values, list | tuple) else values
