"""What is known about some images, in one piece: the only thing that data hand to models."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from eqvae.domains.domain import Domain


@dataclass(frozen=True)
class Batch:
    """Images and what is known about each of them; None where nothing is.

    `Batch(images)` is enough where nothing else is known.

    Attributes:
        image: (B, C, H, H) in [0, 1].
        pose: true motions, (B, 4), NaN where unknown.
        label: classes, (B,) int64, -1 where unknown.
        index: rows of the whole data set, (B,) int64.
        transfer: radial transfer functions of the optics at Q equally spaced frequencies from 0 to pi
            rad/pixel, both included, (B, Q); the last value holds beyond, and 1 everywhere is no blur.
        mask: 1 where a pixel belongs to the object, (B, 1, H, H).
        pixel_size: physical size of a pixel in the unit of the data, (B,).

    Raises:
        TypeError: if `image` is no tensor.
        ValueError: if it is not (B, C, H, W), or the others have another length.
    """

    image: Tensor
    pose: Tensor | None = None
    label: Tensor | None = None
    index: Tensor | None = None
    transfer: Tensor | None = None
    mask: Tensor | None = None
    pixel_size: Tensor | None = None

    def __post_init__(self) -> None:
        if not torch.is_tensor(self.image):
            raise TypeError(
                f"image must be a tensor (B, C, H, W); got {type(self.image).__name__}. Convert it."
            )
        if self.image.dim() != 4:
            raise ValueError(
                f"image must be (B, C, H, W); got {tuple(self.image.shape)}. Add the missing axes."
            )
        for name, value in self._known():
            if value.shape[0] != self.image.shape[0]:
                raise ValueError(
                    f"{name} must have one entry for each of the {len(self.image)} images; "
                    f"got {len(value)}."
                )

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: Any) -> "Batch":
        """Some of the images: a slice, a mask or an index tensor."""
        return self.replace(**{name: value[rows] for name, value in self._known()})

    def replace(self, **changes: Tensor | None) -> "Batch":
        """The same with other values of some attributes."""
        return replace(self, **changes)

    def to(self, device: Any = None, dtype: torch.dtype | None = None, **how: Any) -> "Batch":
        """On a device, or like a tensor; a dtype concerns the floating-point tensors only."""
        if torch.is_tensor(device):
            device, dtype = device.device, device.dtype
        return self.replace(
            **{
                name: value.to(device, dtype if value.is_floating_point() else None, **how)
                for name, value in self._known()
            }
        )

    def pin_memory(self) -> "Batch":
        """In page-locked memory, for loaders that feed a GPU."""
        return self.replace(**{name: value.pin_memory() for name, value in self._known()})

    def act(self, g: Tensor, domain: Domain, interpolation: str = "bicubic") -> "Batch":
        """The images moved by g (B, E), with their masks and poses; round optics stay.

        Args:
            g: elements of the domain's group, one for each image.
            domain: where the images live.
            interpolation: see `Domain.act`.
        """
        return self.replace(
            image=domain.act(g, self.image, interpolation),
            mask=None if self.mask is None else domain.black.act(g, self.mask, interpolation),
            pose=None if self.pose is None else domain.group.compose(g.to(self.pose), self.pose),
        )

    def _known(self) -> list[tuple[str, Tensor]]:
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return [(name, value) for name, value in pairs if value is not None]
