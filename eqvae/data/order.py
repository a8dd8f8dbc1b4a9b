"""In which order images come, and which process of several they come to.

In training an order is a function of (seed, epoch), so that a resumed run sees the batches of one that was
not interrupted. Several processes share it: no image comes twice in an epoch, and every process gets as many,
so that none waits for a batch of another that never comes; the few that are left over rest for an epoch. In
validation and tests every image comes once, to whichever process.
"""

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler


class Order(Sampler[int]):
    """Numbers of images in an order, those of one process.

    Args:
        count: number of images, N.
        shuffle: whether the order changes from epoch to epoch.
        replicas: processes that share the images.
        rank: which of them this is.
        seed: of the order.
    """

    def __init__(
        self, count: int, *, shuffle: bool, replicas: int = 1, rank: int = 0, seed: int = 0
    ):
        self.count, self.shuffle = count, shuffle
        self.replicas, self.rank = replicas, rank
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch to come, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        each, left = divmod(self.count, self.replicas)
        return each if self.shuffle else each + (self.rank < left)

    def __iter__(self) -> Iterator[int]:
        order = self._mixed(torch.Generator().manual_seed(self.seed + self.epoch))
        order = order[self.rank :: self.replicas][: len(self)]
        for part in order.split(1024):  # a million numbers as Python objects would take 60 MB
            yield from part.tolist()

    @abstractmethod
    def _mixed(self, generator: torch.Generator) -> Tensor:
        """All images in the order of the epoch, (N,) int64; one that never changes without `shuffle`."""


class WholeOrder(Order):
    """All images in random order, or as they are numbered."""

    def _mixed(self, generator: torch.Generator) -> Tensor:
        if self.shuffle:
            return torch.randperm(self.count, generator=generator)
        return torch.arange(self.count)


class BlockOrder(Order):
    """Blocks in random order, and images in random order within each window of some blocks.

    A window holds as many blocks as stay in memory, so that every block is read once in an epoch. Without
    `shuffle` images come in the order of the blocks.

    Args:
        block: number of each image's block, (N,).
        window: blocks of a window.
        shuffle, replicas, rank, seed: as of `Order`.
    """

    def __init__(
        self,
        block: Tensor,
        window: int,
        *,
        shuffle: bool = True,
        replicas: int = 1,
        rank: int = 0,
        seed: int = 0,
    ):
        super().__init__(len(block), shuffle=shuffle, replicas=replicas, rank=rank, seed=seed)
        self.by_block = block.argsort(stable=True)
        self.sizes = block.unique(return_counts=True)[1]
        self.window = window

    def _mixed(self, generator: torch.Generator) -> Tensor:
        if not self.shuffle:
            return self.by_block
        blocks = self.by_block.split(self.sizes.tolist())
        chosen = torch.randperm(len(blocks), generator=generator)
        windows = [
            torch.cat([blocks[i] for i in some.tolist()]) for some in chosen.split(self.window)
        ]
        return torch.cat([w[torch.randperm(len(w), generator=generator)] for w in windows])
