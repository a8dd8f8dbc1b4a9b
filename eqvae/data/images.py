"""What a source of images gives: the images with all that is known about each of them.

A source is any object with `load() -> ImageSet`; write one for your own file format. How its images
are posed, split and batched is not its business.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from eqvae.data.pixels import Pixels
from eqvae.domains.hexagonal import HexagonalGrid


@dataclass(frozen=True)
class ImageSet:
    """Images of the same size and what is known about them; None where nothing is.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1]: a tensor, or `Pixels` that are read when they are asked for.
        labels: class of each image, (N,) int64, -1 where unknown.
        groups: images of the same group never come into two splits, (N,) int64.
        poses: motions that bring the class's standard object to what the image shows, (N, 4).
        names: file names, for messages and tables.
        rows: numbers of the images in the source's files, (N,) int64: those that were left out count too.
        class_names: what the labels mean, by label.
        is_test: the data's own test part, (N,) bool.
        transfer: radial transfer function of the imaging optics, (N, Q) float32, at Q equally spaced
            radial frequencies from 0 to pi rad/pixel, both included; beyond pi, in the corners of
            the Fourier square, the last value holds. 1 everywhere is no blur.
        masks: which pixels are the object, (N, 1, H, W) bool.
        pixel_size: physical size of a pixel in the unit of the data, (N,) float32.
        columns: what else tables say of each image, by the name of its column: numbers or words, (N,).
        middles: where the middle of each image lies in the field that it was cut from, (N, 2) float64:
            columns to the right and rows down of the middle of the field's first pixel.
        symmetry_orders: by label, k when the object looks the same after 1/k turn, 0 after any.
        settings: what the source has chosen, as keys of its configuration: with them it reads other images
            in the same way.
        said: lines about what was chosen and what was left out, for the user.
        domain: the hexagonal lattice that the images are on; None for square pixels.
        render: draws the scenes `rows` moved by `g` on a grid of `size`, without interpolation:
            render(rows (B,), g (B, 4), size) -> (B, C, size, size).

    Raises:
        ValueError: if images are none, or not float32, the others differ in length, `transfer` is no table
            of float32, or `masks` are not as large as the images.
    """

    images: Tensor | Pixels
    labels: Tensor | None = None
    groups: Tensor | None = None
    poses: Tensor | None = None
    names: tuple[str, ...] | None = None
    rows: Tensor | None = None
    class_names: tuple[str, ...] | None = None
    is_test: Tensor | None = None
    transfer: Tensor | None = None
    masks: Tensor | None = None
    pixel_size: Tensor | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    middles: Tensor | None = None
    symmetry_orders: tuple[int, ...] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    domain: HexagonalGrid | None = None
    render: Callable[[Tensor, Tensor, int], Tensor] | None = None

    def __post_init__(self):
        if self.images.dim() != 4 or self.images.dtype != torch.float32:
            raise ValueError(
                "images must be a float32 tensor (N, C, H, H); "
                f"got {self.images.dtype} of shape {tuple(self.images.shape)}."
            )
        if len(self.images) == 0:
            raise ValueError("images is empty: there are no readable images to train on.")
        known = {name: getattr(self, name) for name in _PER_IMAGE}
        for name, value in {**known, **self.columns}.items():
            if value is not None and len(value) != len(self.images):
                raise ValueError(
                    f"{name} must have one entry for each of the {len(self.images)} images; "
                    f"got {len(value)}."
                )
        self._check_camera()
        if self.symmetry_orders is not None and self.labels is not None:
            classes = int(self.labels.max()) + 1
            if len(self.symmetry_orders) < classes:
                raise ValueError(
                    f"symmetry_orders must have one entry for each of the {classes} classes; "
                    f"got {len(self.symmetry_orders)}."
                )

    def _check_camera(self) -> None:
        transfer, masks = self.transfer, self.masks
        if transfer is not None and (
            transfer.dim() != 2 or transfer.shape[1] < 2 or transfer.dtype != torch.float32
        ):
            raise ValueError(
                "transfer must be a float32 tensor (N, Q) with Q >= 2 frequencies from 0 to pi "
                f"rad/pixel; got {transfer.dtype} of shape {tuple(transfer.shape)}."
            )
        shape = (len(self), 1, *self.images.shape[-2:])
        if masks is not None and (masks.shape != shape or masks.dtype != torch.bool):
            raise ValueError(
                f"masks must be a bool tensor of shape {shape}; "
                f"got {masks.dtype} of shape {tuple(masks.shape)}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def usable(self, *, skip_unreadable: bool = False) -> "ImageSet":
        """The images that can be trained on: finite, in [0, 1], not a single value throughout.

        An image of a single value shows no object and has no pose.

        Args:
            skip_unreadable: leave unusable images out with a warning that names them.

        Raises:
            ValueError: if there are unusable images and they may not be skipped, or no others.
        """
        low, high = _extremes(self.images)
        reasons = [
            ("NaN or infinite", ~(low.isfinite() & high.isfinite())),
            ("outside [0, 1]", (low < 0) | (high > 1)),
            ("of a single value throughout", low == high),
        ]
        unusable = torch.zeros(len(self), dtype=torch.bool)
        for reason, found in reasons:
            found = found & ~unusable
            unusable |= found
            if not found.any():
                continue
            who = self._listing(found)
            if reason == "outside [0, 1]":
                raise ValueError(
                    f"images must lie in [0, 1]; {who} reach from {low[found].min():g} to "
                    f"{high[found].max():g}. Scale them, or store them as uint8 or uint16."
                )
            if not skip_unreadable:
                raise ValueError(
                    f"images must be finite and show something; {who} are {reason}. "
                    "Remove them, or leave them out with data.source.skip_unreadable=true."
                )
            warnings.warn(f"left out {who}: {reason}.", stacklevel=2)
        if unusable.all():
            raise ValueError(
                f"none of the {len(self)} images can be used. See the warnings before."
            )
        return self[(~unusable).nonzero()[:, 0]] if unusable.any() else self

    def numbered(self) -> "ImageSet":
        """The same with `rows`."""
        return self if self.rows is not None else replace(self, rows=torch.arange(len(self)))

    def __getitem__(self, rows: Tensor) -> "ImageSet":
        kept = {
            name: getattr(self, name)[rows]
            for name in _PER_IMAGE
            if torch.is_tensor(getattr(self, name))
        }
        names = None if self.names is None else tuple(self.names[i] for i in rows.tolist())
        images = self.images
        images = images.take(rows) if isinstance(images, Pixels) else images[rows]
        columns = {name: column[rows.numpy()] for name, column in self.columns.items()}
        return replace(self, images=images, names=names, columns=columns, **kept)

    def _listing(self, found: Tensor) -> str:
        rows = found.nonzero()[:, 0].tolist()
        shown = listing([self.names[i] if self.names else f"number {i}" for i in rows])
        return f"{len(rows)} of {len(self)} images ({shown})"


def _extremes(images: Tensor | Pixels) -> tuple[Tensor, Tensor]:
    """Darkest and brightest pixel of each image, (N,), (N,); NaN where one is NaN."""
    if isinstance(images, Pixels):
        return images.extremes()
    flat = images.flatten(1)
    return flat.amin(dim=1), flat.amax(dim=1)


_PER_IMAGE = (
    "labels",
    "groups",
    "poses",
    "names",
    "rows",
    "is_test",
    "transfer",
    "masks",
    "pixel_size",
    "middles",
)


class ImageSource(Protocol):
    """Anything that can load an `ImageSet`."""

    def load(self) -> ImageSet: ...


def listing(names: list[str], limit: int = 5) -> str:
    """The first few names, for a message."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
