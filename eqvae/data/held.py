"""Examples that are held in memory as one batch, whatever they are of."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from eqvae.data.batch import Batch
from eqvae.data.order import WholeOrder


class HeldInMemory(Dataset):
    """A whole batch as a data set, indexed in batches.

    Args:
        batch: all of the examples.
        indices: which ones of the whole set they are, (N,) int64.

    Attributes:
        image_shape: of one example.
        at_once: examples that one batch may have.
    """

    def __init__(self, batch: Batch, indices: Tensor):
        self.batch = batch
        self.indices = indices
        self.image_shape = tuple(batch.image.shape[1:])
        self.at_once = len(indices)

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        return self.batch[rows]

    def __getitems__(self, rows: list[int]) -> Batch:
        return self[torch.tensor(rows, dtype=torch.int64)]

    def reading_order(self, count: int) -> Tensor:
        """The first examples, (count,) int64, in the order in which they are read fastest."""
        return torch.arange(count)

    def in_order(self, replicas: int = 1, rank: int = 0) -> WholeOrder:
        """Every example once, as they are numbered, or the share of one process."""
        return WholeOrder(len(self), shuffle=False, replicas=replicas, rank=rank)

    def mixed(self, seed: int, replicas: int = 1, rank: int = 0) -> WholeOrder:
        """The order of an epoch, a function of (seed, epoch), or the share of one process."""
        return WholeOrder(len(self), shuffle=True, replicas=replicas, rank=rank, seed=seed)
