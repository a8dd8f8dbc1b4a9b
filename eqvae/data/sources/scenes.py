"""What sources that draw their own images share.

A scene is one image's factors, such as shape, size and noise, which the source's seed and the number of
the scene fix. The source draws it at any pose, on a grid of any size.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from eqvae.data.images import ImageSet
from eqvae.symmetry.motions import identity


class Scenes(ABC):
    """A source whose scenes can be drawn.

    Attributes:
        num_images: how many scenes there are.
        size: side in pixels of the images that `load` draws.
        seed: of the scenes' factors and noise.
    """

    num_images: int
    size: int
    seed: int

    @abstractmethod
    def render(self, rows: Tensor, g: Tensor, size: int) -> Tensor:
        """Draw scenes with their object moved by g, exactly.

        Args:
            rows: numbers of the scenes, (B,) int64 in [0, num_images).
            g: motions, (B, 4).
            size: side of the images in pixels.

        Returns:
            Images (B, 1, size, size) in [0, 1].
        """

    def still(self, **known: Any) -> ImageSet:
        """All scenes at the identity pose, with what else is known about them."""
        rows = torch.arange(self.num_images)
        poses = identity(self.num_images, dtype=torch.float32)
        drawn = [self.render(part, poses[part], self.size) for part in rows.split(512)]
        return ImageSet(torch.cat(drawn), poses=poses, render=self.render, **known)

    def white_noise(self, rows: Tensor, size: int) -> Tensor:
        """Standard normal noise (B, size, size), each scene's own whatever else is drawn with it."""
        generator = torch.Generator()
        noise = torch.empty(len(rows), size, size)
        for image, row in zip(noise, rows.tolist(), strict=True):
            generator.manual_seed((self.seed + 1) * 1_000_003 + row)
            torch.randn(size, size, generator=generator, out=image)
        return noise


def as_tuples(values: Any) -> Any:
    """Lists as a YAML file has them, as tuples at every depth; anything else as it is."""
    return tuple(map(as_tuples, values)) if isinstance(values, list | tuple) else values
