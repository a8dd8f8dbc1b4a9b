"""Posing: the motion each image is given once, before training, so that its true pose is known.

The posed image is g x with (g x)(p) = x(g^-1 p); g is drawn by a `Posing`, the image first padded
with zeros to the posing's size. Scenes that can be rendered are rendered at g; other images are
resampled once (bicubic), and not at all where g maps the grid to itself. Padding by an odd number
puts the spare row at the bottom and the spare column on the right. A `Camera` comes last, and its `Sensor`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.data.angles import Angles, AnyAngle
from eqvae.data.batch import Batch
from eqvae.data.camera import Camera, PlainCamera
from eqvae.data.images import ImageSet
from eqvae.data.sensor import Grid, Sensor, SquareSensor
from eqvae.domains.square import SquareGrid
from eqvae.symmetry.motions import (
    compose,
    identity,
    motion,
    shift_of,
    with_log_scale,
    with_shift,
)
from eqvae.symmetry.similarities import check_scales


class Posing(ABC):
    """A distribution from which one motion is drawn for each image.

    Attributes:
        size: side of the posed images in pixels; None keeps the source's.
        seed: of the draws; the same seed gives the same angles under every posing.
    """

    size: int | None
    seed: int

    @abstractmethod
    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Motions of n images, (n, 4), with scales (n, 5), the same at every call.

        Args:
            n: how many.
            labels: their classes, (n,) int64, for a distribution that depends on them.
        """

    @property
    def largest(self) -> float:
        """The largest scale that is drawn."""
        return 1.0

    def __post_init__(self):
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise ValueError(
                f"size of a posing must be a number of pixels, or null for the source's; "
                f"got {self.size!r}."
            )


@dataclass(frozen=True)
class Upright(Posing):
    """Images as the source gives them, padded to `size`."""

    size: int | None = None
    seed: int = 0

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        return identity(n, dtype=torch.float32)


@dataclass(frozen=True)
class Rotated(Posing):
    """Angle uniform on the circle, about the image centre."""

    size: int | None = None
    seed: int = 0

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        return motion(_angles(n, _generator(self.seed)), dtype=torch.float32)


@dataclass(frozen=True)
class RotatedShifted(Posing):
    """x and y normal with standard deviation `shift_scale`, cut at `max_shift`; angle and scale as told.

    The defaults are MNIST(U), as used by spatial-VAE and TARGET-VAE: 28 x 28 digits on 50 x 50.

    Args:
        size: side of the posed images in pixels; None keeps the source's.
        shift_scale: standard deviation of x and of y before the cut, pixels.
        max_shift: |x|, |y| <= max_shift, pixels; beyond it is drawn again, not clipped.
        seed: of the draws.
        angles: distribution of the angle.
        scales: smallest and largest scale, drawn log-uniformly; None for images at scale 1, whose poses have
            no scale.

    References:
        Bepler, Zhong, Kelley, Brignole, Berger: Explicitly disentangling image content from
        translation and rotation with spatial-VAE (2019), https://arxiv.org/abs/1909.11663, sec. 4.
    """

    size: int | None = 50
    shift_scale: float = 5.0
    max_shift: float = 10.0
    seed: int = 0
    angles: Angles = AnyAngle()
    scales: Sequence[float] | None = None

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.angles, Angles):
            raise ValueError(
                f"angles must be Angles, such as eqvae.data.AnyAngle; got {self.angles!r}. "
                "Choose data/pose=rotated_shifted, limited or upright_classes."
            )
        if self.scales is not None:
            object.__setattr__(self, "scales", check_scales(self.scales))
        for name in ("shift_scale", "max_shift"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"{name} must be positive (pixels); got {getattr(self, name)!r}. "
                    "For no shift use data/pose=rotated."
                )

    def draw(self, n: int, labels: Tensor | None = None) -> Tensor:
        generator = _generator(self.seed)
        angle = self.angles.of(_angles(n, generator).float(), labels)
        # inverse distribution function of the normal distribution on [-max_shift, max_shift]
        edge = torch.special.ndtr(torch.tensor(self.max_shift / self.shift_scale).double())
        u = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        shift = torch.special.ndtri(1 - edge + u * (2 * edge - 1)) * self.shift_scale
        shift = shift.clamp(-self.max_shift, self.max_shift)  # rounding only
        g = motion(angle, shift, dtype=torch.float32)
        if self.scales is None:
            return g
        low, high = map(math.log, self.scales)
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return with_log_scale(g, (low + (high - low) * u).to(g))

    @property
    def largest(self) -> float:
        return 1.0 if self.scales is None else self.scales[1]


def pad_to(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, H) in the middle of zeros, (B, C, size, size).

    Raises:
        ValueError: if the images are larger than `size`.
    """
    check_padding(tuple(images.shape), size)
    margin = size - images.shape[-1]
    if margin == 0:
        return images
    before, after = margin // 2, margin - margin // 2
    return F.pad(images, (before, after, before, after))


def moved_by_padding(side: int, size: int) -> Tensor:
    """By how much, in pixels, `pad_to` moves what images of that side show, x, y, y up: (2,) float64.

    The spare row of an odd number lies below the image, and the spare column to its right.
    """
    spare = 0.5 * ((size - side) % 2)
    return torch.tensor([-spare, spare], dtype=torch.float64)


def check_padding(images: tuple[int, ...], size: int) -> None:
    """Refuse images that are no squares, or larger than what they are padded to.

    Args:
        images: their shape (N, C, H, W).
        size: side of the padded images, pixels.

    Raises:
        ValueError: if they are.
    """
    height, side = images[-2:]
    if height != side:
        raise ValueError(
            f"images must be square to be rotated; got {height}x{side} pixels. Put them on a Canvas."
        )
    if size < side:
        raise ValueError(
            f"size of the posing must be at least the images' {side} pixels; got {size}. Set "
            f"data.pose.size={side} or larger, or null to keep theirs; data.canvas.size resamples them."
        )


def pose_images(
    source: ImageSet,
    rows: Tensor,
    posing: Posing,
    camera: Camera = PlainCamera(),
    sensor: Sensor = SquareSensor(),
) -> Batch:
    """Pose some images of a source, each by the motion that the posing gives its row.

    Args:
        source: the images.
        rows: which of them, (B,) int64.
        posing: the distribution of the motions.
        camera: what takes the pictures of the posed images.
        sensor: what its pixels are.

    Returns:
        The posed images with all that the source knows about them. Poses are NaN where the source
        does not know the pose of its own images.

    Raises:
        ValueError: if the images are larger than the posing's size.
    """
    side = int(source.images.shape[-1])
    size = posing.size or side
    _check_scales(posing, side, size)
    g = posing.draw(len(source), source.labels)[rows]
    return move_images(source, rows, g, size, camera, sensor)


def move_images(
    source: ImageSet,
    rows: Tensor,
    g: Tensor,
    size: int,
    camera: Camera = PlainCamera(),
    sensor: Sensor = SquareSensor(),
) -> Batch:
    """Some images of a source, each moved by its motion, as `pose_images` has them.

    Args:
        source: the images.
        rows: which of them, (B,) int64.
        g: motions, (B, 4).
        size: side of the moved images in pixels, before the sensor.
        camera: what takes the pictures.
        sensor: what its pixels are.

    Raises:
        ValueError: if the images are larger than `size`.
    """
    check_padding(tuple(source.images.shape), size)
    grid = scene_of(source, size)
    shape = sensor.domain(grid).shape
    image = torch.empty(len(rows), source.images.shape[1], *shape)
    mask = None if source.masks is None else torch.empty(len(rows), 1, *shape)
    for chunk in torch.arange(len(rows)).split(512):
        if source.render is not None:
            moved = source.render(rows[chunk], g[chunk], size)
        else:
            moved = grid.act(g[chunk], pad_to(source.images[rows[chunk]], size)).clamp(0, 1)
        image[chunk] = sensor.read(camera.take(moved), grid)
        if mask is not None:
            moved = grid.act(g[chunk], pad_to(source.masks[rows[chunk]].float(), size))
            mask[chunk] = sensor.read_mask((camera.place(moved) > 0.5).float(), grid)
    return Batch(
        image=image,
        pose=true_pose(source, rows, g, size),
        label=torch.full_like(rows, -1) if source.labels is None else source.labels[rows],
        index=rows,
        transfer=None if source.transfer is None else source.transfer[rows],
        mask=mask,
        pixel_size=None if source.pixel_size is None else source.pixel_size[rows],
    )


def scene_of(source: ImageSet, size: int) -> Grid:
    """Where images of a source are moved, with so many pixels a side."""
    if source.domain is None:
        return SquareGrid(size)
    return replace(source.domain, size=size)


def true_pose(source: ImageSet, rows: Tensor, g: Tensor, size: int) -> Tensor:
    """True motions of images of a source that are padded to `size` and moved by g, (B, 4).

    NaN where it does not know its own.
    """
    if source.poses is None:
        return torch.full_like(g, math.nan)
    own = source.poses[rows].to(g)
    if source.render is None:  # else it is drawn about the centre of the result
        own = with_shift(own, shift_of(own) + moved_by_padding(source.images.shape[-1], size).to(g))
    return compose(g, own)


def _check_scales(posing: Posing, side: int, size: int) -> None:
    """Refuse scales at which images of a side no longer fit into those of a size, pixels."""
    largest = side * posing.largest
    if posing.largest > 1 and largest > size:
        raise ValueError(
            f"scales must leave images inside the posed ones: at {posing.largest:g} their {side} pixels are "
            f"{largest:.1f}, and there are {size}. Set data.pose.size={math.ceil(largest)} or larger, or "
            f"scales up to {size / side:.2f} in data.pose.scales."
        )


def _angles(n: int, generator: torch.Generator) -> Tensor:
    return 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
