"""The order of an epoch over images that lie in files: well mixed, and read block by block."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler


class BlockOrder(DistributedSampler):
    """Blocks in random order, and images in random order within each window of some blocks.

    A window holds as many blocks as stay in memory, so that every block is read once in an epoch. A function
    of (seed, epoch), as that of `DistributedSampler`, whose arguments it shares.

    Args:
        dataset: the images.
        block: number of each image's block, (N,).
        window: blocks of a window.
        shuffle: without it, images come in the order of the blocks.
        num_replicas: processes that share an epoch.
        rank: which of them this is.
        seed: of the order.
    """

    def __init__(
        self,
        dataset: Dataset,
        block: Tensor,
        window: int,
        num_replicas: int = 1,
        rank: int = 0,
        *,
        shuffle: bool = True,
        seed: int = 0,
    ):
        super().__init__(dataset, num_replicas, rank, shuffle=shuffle, seed=seed)
        self.by_block = block.argsort(stable=True)
        self.sizes = block.unique(return_counts=True)[1]
        self.window = window

    def __iter__(self) -> Iterator[int]:
        order = self._mixed() if self.shuffle else self.by_block
        missing = self.total_size - len(order)  # every process gets as many
        order = torch.cat([order, order[:missing]])[self.rank : self.total_size : self.num_replicas]
        for part in order.split(1024):  # a million numbers as Python objects would take 60 MB
            yield from part.tolist()

    def _mixed(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        blocks = self.by_block.split(self.sizes.tolist())
        chosen = torch.randperm(len(blocks), generator=generator)
        windows = [
            torch.cat([blocks[i] for i in some.tolist()]) for some in chosen.split(self.window)
        ]
        return torch.cat([w[torch.randperm(len(w), generator=generator)] for w in windows])
