"""Where images were cut out of whole fields, and so where in a field lies what a model finds in an image.

A position t in a posed image, pixels from its centre, y up, is the position

    m + F s(g^-1 t),    F = diag(1, -1)

in the field, columns to the right and rows down of the middle of its first pixel: g is the motion that the
image was given, s leads from the padded and resampled image back to that of the source, and m is where the
middle of that lies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.data.datamodule import ImageDataModule
from eqvae.data.posing import moved_by_padding
from eqvae.symmetry.motions import apply, inverse

_DOWN = torch.tensor([1.0, -1.0])


@dataclass(frozen=True)
class Frames:
    """How N images lie in their fields.

    Attributes:
        middle: m, (N, 2).
        g: motions that the images were given, (N, 4).
        moved: by how much padding has moved what images show, (2,).
        scale: pixels of the field in one of the padded image.
    """

    middle: Tensor
    g: Tensor
    moved: Tensor
    scale: float

    @classmethod
    def of(cls, data: ImageDataModule, rows: Tensor) -> "Frames | None":
        """Those of some images of a datamodule; None where they were not cut out of fields."""
        images = data.images
        if images.middles is None:
            return None
        side, shown = images.images.shape[-1], data.side
        height, width = data.source_shape[1:]
        return cls(
            images.middles[rows],
            data.pose.draw(len(images), images.labels)[rows],
            moved_by_padding(side, shown),
            1 / data.canvas.scale(height, width),
        )

    def in_field(self, position: Tensor, first: int) -> Tensor:
        """Positions (B, 2) in the posed images from number `first` on, as x, y in their fields, (B, 2)."""
        here = slice(first, first + len(position))
        t = apply(inverse(self.g[here].double()), position.double().cpu()) - self.moved
        return self.middle[here] + t * self.scale * _DOWN
