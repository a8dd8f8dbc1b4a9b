"""Posed images of one split: all in memory, or read when they are asked for."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from eqvae.data.batch import Batch
from eqvae.data.camera import Camera, PlainCamera
from eqvae.data.held import HeldInMemory
from eqvae.data.images import ImageSet
from eqvae.data.order import BlockOrder
from eqvae.data.pixels import GIB
from eqvae.data.posing import (
    Posing,
    check_padding,
    move_images,
    pose_images,
    scene_of,
    true_pose,
)
from eqvae.data.sensor import Sensor, SquareSensor


class PosedImages(HeldInMemory):
    """Posed images in memory, indexed in whole batches.

    Attributes:
        batch: all of them in one `Batch`, whose parts have names of their own here:
        images: (N, C, H, H) float32 in [0, 1].
        poses: true motions (N, 4), NaN where unknown.
        labels: (N,) int64, -1 where unknown.
        indices: (N,) int64 into the whole data set.
        transfer: radial transfer functions of the optics (N, Q), None where unknown.
        image_shape: (C, H, H).
        at_once: images that one batch may have.
    """

    def __init__(
        self,
        source: ImageSet,
        rows: Tensor,
        posing: Posing,
        camera: Camera = PlainCamera(),
        sensor: Sensor = SquareSensor(),
    ):
        batch = pose_images(source, rows, posing, camera, sensor)
        super().__init__(batch, batch.index)
        self.images, self.poses = batch.image, batch.pose
        self.labels, self.transfer = batch.label, batch.transfer


class StreamedImages(Dataset):
    """Posed images that stay in their files: read, posed and forgotten batch by batch.

    What is asked for by index is read as it is; what a loader asks for, in the orders given here, comes
    from blocks that stay in memory for a while.

    Attributes:
        poses, labels, indices, image_shape: as of `PosedImages`.
        at_once: images that one batch may have, so that it takes no more than the memory allowed.
    """

    def __init__(
        self,
        source: ImageSet,
        rows: Tensor,
        posing: Posing,
        camera: Camera = PlainCamera(),
        memory: float = 0.25,
        sensor: Sensor = SquareSensor(),
    ):
        size = posing.size or source.images.shape[-1]
        check_padding(tuple(source.images.shape), size)
        self.source, self.indices, self.camera, self.sensor = source, rows, camera, sensor
        self.size = size  # of a scene, before the sensor
        self.blocks = source.images.blocks
        self.by_block = replace(source, images=self.blocks)
        self.g = posing.draw(len(source), source.labels)[rows]
        self.poses = true_pose(source, rows, self.g, size)
        self.labels = torch.full_like(rows, -1) if source.labels is None else source.labels[rows]
        self.image_shape = (source.images.shape[1], *sensor.domain(scene_of(source, size)).shape)
        self.at_once = max(1, int(memory * GIB / (4 * math.prod(self.image_shape))))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        return self._posed(self.source, rows)

    def __getitems__(self, rows: list[int]) -> Batch:
        return self._posed(self.by_block, torch.tensor(rows, dtype=torch.int64))

    def reading_order(self, count: int) -> Tensor:
        """The first images, (count,) int64, in the order of their files."""
        return self.indices[:count].argsort()

    def in_order(self, replicas: int = 1, rank: int = 0) -> BlockOrder:
        """Every image once, in the order of their files, or the share of one process."""
        how = {"shuffle": False, "replicas": replicas, "rank": rank}
        return BlockOrder(self._block(), self.blocks.window, **how)

    def mixed(self, seed: int, replicas: int = 1, rank: int = 0) -> BlockOrder:
        """The order of an epoch, a function of (seed, epoch), or the share of one process."""
        how = {"replicas": replicas, "rank": rank, "seed": seed}
        return BlockOrder(self._block(), self.blocks.window, **how)

    def _block(self) -> Tensor:
        return self.blocks.block_of(self.indices)

    def _posed(self, source: ImageSet, rows: slice | Tensor) -> Batch:
        camera = (self.camera, self.sensor)
        return move_images(source, self.indices[rows], self.g[rows], self.size, *camera)
