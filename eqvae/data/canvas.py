"""The canvas: images of any shape become squares of one size, and what is known about them follows.

Resampling crops the Fourier transform about the image centre: with s = size / H,

    y(p) = x(p / s)  for the frequencies below pi of the coarser of both grids,

which neither aliases nor moves the object. Pixels grow by 1 / s, positions shrink by s, and optics keep their
physical frequencies.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from eqvae.data.images import ImageSet
from eqvae.data.pixels import Pixels
from eqvae.domains.grid import border
from eqvae.symmetry.motions import angle_of, motion, reflection_of, shift_of

_SHAPES = ("crop", "pad")
_AT_ONCE = 512  # images
_DOWN = torch.tensor([1.0, -1.0])  # between y up and y down


@dataclass(frozen=True)
class Canvas:
    """How images become squares of one size.

    Args:
        square: what becomes of images that are no squares: "crop" cuts the middle out, "pad" surrounds them
            with the median of their border.
        size: side of the images in pixels, resampled; None keeps it.

    Raises:
        ValueError: if an argument is none of these.
    """

    square: str = "crop"
    size: int | None = None

    def __post_init__(self):
        if self.square not in _SHAPES:
            raise ValueError(f"square must be one of {', '.join(_SHAPES)}; got {self.square!r}.")
        if self.size is not None and (not isinstance(self.size, int) or self.size < 4):
            raise ValueError(
                "size of the canvas must be a number of pixels, at least 4, or null for the images' own; "
                f"got {self.size!r}."
            )

    def side(self, height: int, width: int) -> int:
        """Side of the square before it is resampled."""
        return min(height, width) if self.square == "crop" else max(height, width)

    def scale(self, height: int, width: int) -> float:
        """s: pixels of the canvas by pixel of the image."""
        return (self.size or self.side(height, width)) / self.side(height, width)

    def of(self, images: ImageSet) -> ImageSet:
        """The images on the canvas, with their masks, poses, optics and size of pixels.

        Raises:
            ValueError: if scenes that are drawn at any size, or hexagonal pixels, should be resampled.
        """
        height, width = images.images.shape[-2:]
        side, said = self.side(height, width), []
        if height != width:
            images = _squared(images, side)
            how = "cut to the middle" if self.square == "crop" else "padded to"
            other = "pad" if self.square == "crop" else "crop"
            said.append(
                f"images of {height}x{width} pixels are {how} {side}x{side} (data.canvas.square={other}: "
                "the other way)"
            )
        if self.size not in (None, side):
            if images.domain is not None:
                raise ValueError(
                    "canvas.size resamples square pixels, and these are hexagonal. Set data.canvas.size=null."
                )
            if images.render is not None:
                raise ValueError(
                    "canvas.size resamples stored images, and these are drawn. Set the source's own size, or "
                    "data.canvas.size=null."
                )
            images = _resampled(images, self.size)
            said.append(f"images of {side}x{side} pixels are resampled to {self.size}x{self.size}")
        return replace(images, said=(*images.said, *said)) if said else images


def squared(images: Tensor, side: int) -> Tensor:
    """The middle (B, C, side, side) of images (B, C, H, W), or images in the middle of their ground."""
    height, width = images.shape[-2:]
    if max(height, width) <= side:
        ground = border(images.flatten(0, 1)).median(dim=1).values
        out = ground.view(*images.shape[:2], 1, 1).expand(-1, -1, side, side).clone()
        top, left = (side - height) // 2, (side - width) // 2
        out[..., top : top + height, left : left + width] = images
        return out
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def fourier_resampled(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, H) on a grid of `size` about the same centre, band-limited; no value is cut off."""
    before = images.shape[-1]
    kept = min(before, size)
    half = (kept - 1) // 2  # frequencies -half to half: that of an even grid's edge has no phase
    spectrum = torch.fft.fft2(images)
    low = torch.fft.fftfreq(kept, 1 / kept, dtype=images.dtype)
    wanted = low.abs() <= half
    place = low[wanted].long()
    # the centre of the new grid lies so many old pixels from that of the old one's first pixel
    offset = (before / size - 1) / 2
    phase = torch.exp(2j * math.pi * offset / before * place.to(images.dtype))
    part = spectrum[..., place % before, :][..., place % before] * phase[:, None] * phase
    new = spectrum.new_zeros(*images.shape[:-2], size, size)
    rows = (place % size)[:, None]
    new[..., rows, rows.T] = part
    return torch.fft.ifft2(new).real * (size / before) ** 2


def _squared(images: ImageSet, side: int) -> ImageSet:
    height, width = images.images.shape[-2:]
    # the middle of an odd number of spare pixels lies half a pixel beside the centre
    spare = torch.tensor([width - side, height - side])
    moved = (spare % 2).double() / 2 * _DOWN * spare.sign()
    return replace(
        images,
        images=_mapped(images.images, partial(squared, side=side)),
        masks=None if images.masks is None else squared(images.masks.float(), side) > 0.5,
        poses=_shifted(images.poses, 1.0, moved),
        middles=None if images.middles is None else images.middles - moved * _DOWN,
    )


def _resampled(images: ImageSet, size: int) -> ImageSet:
    scale = size / images.images.shape[-1]
    return replace(
        images,
        images=_mapped(images.images, partial(_clamped, size=size)),
        masks=None if images.masks is None else fourier_resampled(images.masks.float(), size) > 0.5,
        poses=_shifted(images.poses, scale, torch.zeros(2)),
        transfer=_stretched(images.transfer, scale),
        pixel_size=None if images.pixel_size is None else images.pixel_size / scale,
    )


def _clamped(images: Tensor, size: int) -> Tensor:
    return fourier_resampled(images, size).clamp(0, 1)


def _mapped(images: Tensor | Pixels, step) -> Tensor | Pixels:
    if isinstance(images, Pixels):
        return images.then(step)
    return torch.cat([step(part) for part in images.split(_AT_ONCE)])


def _shifted(poses: Tensor | None, scale: float, moved: Tensor) -> Tensor | None:
    """Poses whose positions are scaled, then moved."""
    if poses is None:
        return None
    t = shift_of(poses) * scale + moved.to(poses)
    return motion(angle_of(poses), t, reflection_of(poses), dtype=poses.dtype)


def _stretched(transfer: Tensor | None, scale: float) -> Tensor | None:
    """Transfer functions (N, Q) at the frequencies of the new grid: 0 to scale * pi of the old one's."""
    if transfer is None:
        return None
    last = transfer.shape[1] - 1
    place = (torch.linspace(0, 1, last + 1) * scale * last).clamp(max=last)
    below = place.floor().long().clamp(max=last - 1)
    share = place - below
    return transfer[:, below] * (1 - share) + transfer[:, below + 1] * share
