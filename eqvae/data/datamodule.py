"""One datamodule for every source, posing and camera: load, split, pose once, serve from memory.

What loaders serve is a `Batch`. Images that are too many for memory are read and posed batch by batch.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from eqvae.data.camera import Camera, PlainCamera
from eqvae.data.canvas import Canvas
from eqvae.data.extent import ground
from eqvae.data.images import ImageSet, ImageSource
from eqvae.data.pixels import GIB, Pixels
from eqvae.data.posed import PosedImages, StreamedImages
from eqvae.data.posing import Posing, scene_of
from eqvae.data.room import check_room
from eqvae.data.sensor import Grid, Sensor, SquareSensor
from eqvae.data.served import SPLITS, ServedDataModule
from eqvae.data.splitting import check_fractions, split_rows

_LOOKED_AT = 500  # training images, for the grey of their ground


class ImageDataModule(ServedDataModule):
    """Images of a source, split, and posed once before training.

    The split and the poses depend on nothing but the seeds. A data set's own test part stays the
    test split; `split` then divides the rest between train and val.

    Args:
        source: where the images come from.
        canvas: how they become squares of one size.
        pose: the distribution of the motions they are given.
        camera: what takes the pictures of the posed objects.
        batch_size: images in a batch.
        split: fractions of train, val and test.
        seed: of the split and of the order of training batches.
        num_workers: loader processes; 0 is fast enough for images in memory.
        memory: GiB that posed images may take. Images in files that would take more are read and posed again
            whenever they are needed, batch by batch.
        limit: training images to use, None for all. They are the first of the train split, or with
            groups of a seeded shuffle of it: smaller sets are parts of larger ones, and val and
            test stay the same.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        source: ImageSource,
        pose: Posing,
        camera: Camera = PlainCamera(),
        batch_size: int = 128,
        split: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        num_workers: int = 0,
        limit: int | None = None,
        canvas: Canvas = Canvas(),
        memory: float = 0.25,
        sensor: Sensor = SquareSensor(),
    ):
        super().__init__(batch_size, seed, num_workers)
        if not callable(getattr(source, "load", None)):
            raise ValueError(
                f"source must have a method load() that returns an ImageSet; got {source!r}."
            )
        for name, part, kind, choices in (
            ("pose", pose, Posing, "data/pose=upright, rotated or rotated_shifted"),
            ("camera", camera, Camera, "data/camera=none, stretch or light"),
            ("sensor", sensor, Sensor, "domain=square or hexagonal"),
        ):
            if not isinstance(part, kind):
                raise ValueError(
                    f"{name} must be a {kind.__name__}; got {part!r}. Choose {choices}."
                )
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise ValueError(
                "limit must be a whole number of training images, at least 1, or null for all; "
                f"got {limit!r}."
            )
        if not isinstance(canvas, Canvas):
            raise ValueError(f"canvas must be an eqvae.data.Canvas; got {canvas!r}.")
        if not 0 < memory < math.inf:
            raise ValueError(f"memory must be a positive number of GiB; got {memory!r}.")
        check_fractions(split)
        self.source = source
        self.pose = pose
        self.camera = camera
        self.split = tuple(split)
        self.limit = limit
        self.canvas = canvas
        self.memory = memory
        self.sensor = sensor
        self._images: ImageSet | None = None
        self._source_shape: tuple[int, int, int] | None = None

    def setup(self, stage: str | None = None) -> None:
        """Load, check, split and pose; a second call does nothing.

        Raises:
            FileNotFoundError: if the source's files are missing.
            ValueError: if the images cannot be used as asked; the message says why and the way out.
        """
        if self._posed:
            return
        loaded = self.source.load().usable().numbered()
        self._source_shape = tuple(loaded.images.shape[1:])
        images = self.canvas.of(loaded)
        self._check_lattice(images)
        train, val, test = split_rows(images, self.split, self.seed)
        parts = (self._limited(train, grouped=images.groups is not None), val, test)
        if self._streams(images):
            said = f"images stay in their files: posed, they would take more than memory={self.memory:g} GiB"
            images = replace(images, said=(*images.said, said))
        self._posed = {
            name: self._dataset(images, rows, self.pose)
            for name, rows in zip(SPLITS, parts, strict=True)
        }
        self._images = images

    @property
    def images(self) -> ImageSet:
        """The source's images before posing."""
        self._split("train")
        return self._images

    @property
    def source_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the source's images, before the canvas."""
        self._split("train")
        return self._source_shape

    @property
    def domain(self) -> Grid:
        """Where the images live."""
        return self.sensor.domain(scene_of(self.images, self.side))

    @property
    def side(self) -> int:
        """Side of the posed scenes that the sensor takes pictures of, pixels."""
        return self.pose.size or self.images.images.shape[-1]

    def ground(self) -> list[float]:
        """The grey of the ground of training images, by channel."""
        return ground(self.train[:_LOOKED_AT].image)

    def posed(self, split: str, pose: Posing) -> PosedImages | StreamedImages:
        """The images of a split under another posing, such as rotated after training on upright.

        The camera stays.

        Args:
            split: "train", "val" or "test".
            pose: the other posing; the same seed gives the same angles under every posing.
        """
        return self._dataset(self.images, self._split(split).indices, pose)

    def _check_lattice(self, images: ImageSet) -> None:
        """Refuse a camera that knows square pixels only, before images of a lattice."""
        if images.domain is not None and not isinstance(self.camera, PlainCamera):
            raise ValueError(
                "camera must be a PlainCamera for images of a hexagonal lattice; got "
                f"{self.camera!r}. Set data/camera=none."
            )

    def _streams(self, images: ImageSet) -> bool:
        posed = _posed_bytes(images, len(images), self.pose)
        return isinstance(images.images, Pixels) and posed > self.memory * GIB

    def _dataset(
        self, images: ImageSet, rows: Tensor, pose: Posing
    ) -> PosedImages | StreamedImages:
        if self._streams(images):
            return StreamedImages(images, rows, pose, self.camera, self.memory, self.sensor)
        check_room(_posed_bytes(images, len(rows), pose), f"{len(rows):,} posed images")
        return PosedImages(images, rows, pose, self.camera, self.sensor)

    def _limited(self, rows: Tensor, *, grouped: bool) -> Tensor:
        if self.limit is None:
            return rows
        if self.limit > len(rows):
            raise ValueError(
                f"limit must be at most the {len(rows)} images of the train split; "
                f"got {self.limit}. Lower data.limit, or set it to null for all."
            )
        if grouped:  # images of one group lie next to each other
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed))
            rows = rows[order]
        return rows[: self.limit]


def _posed_bytes(images: ImageSet, count: int, pose: Posing) -> int:
    """What so many of the images take in memory once they are posed."""
    return 4 * count * images.images.shape[1] * (pose.size or images.images.shape[-1]) ** 2
