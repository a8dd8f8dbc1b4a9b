"""What every datamodule does once its splits are there: hand them out in batches, the same way each time."""

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from eqvae.data.batch import Batch

SPLITS = ("train", "val", "test")


class ServedDataModule(pl.LightningDataModule, ABC):
    """Three splits, each a data set that is indexed in whole batches and knows its orders.

    What loaders serve is a `Batch`. Training batches are a function of (seed, epoch), so that a resumed run
    sees those of an uninterrupted one.

    Args:
        batch_size: examples in a batch.
        seed: of the order of training batches.
        num_workers: loader processes.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(self, batch_size: int, seed: int, num_workers: int):
        super().__init__()
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"batch_size must be a whole number of at least 1; got {batch_size!r}."
            )
        if not isinstance(num_workers, int) or num_workers < 0:
            raise ValueError(
                f"num_workers must be a whole number of at least 0; got {num_workers!r}."
            )
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self._posed: dict[str, Any] = {}

    @abstractmethod
    def ground(self) -> list[float]:
        """What lies beyond the signals, by channel."""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, ...) of one example."""
        return self.train.image_shape

    @property
    def train(self) -> Any:
        return self._split("train")

    @property
    def val(self) -> Any:
        return self._split("val")

    @property
    def test(self) -> Any:
        return self._split("test")

    def loader(self, dataset: Any) -> DataLoader:
        """All of a data set in one order, the last batch as large as it comes."""
        return self._loader(dataset, sampler=dataset.in_order())

    def train_dataloader(self) -> DataLoader:
        order = self.train.mixed(self.seed, *self._processes())
        # one alone has no batch statistics
        single_left = len(order) > self.batch_size and len(order) % self.batch_size == 1
        return self._loader(self.train, sampler=order, drop_last=single_left)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.val, sampler=self.val.in_order(*self._processes()))

    def test_dataloader(self) -> DataLoader:
        return self._loader(self.test, sampler=self.test.in_order(*self._processes()))

    def _processes(self) -> tuple[int, int]:
        """How many processes train, and which of them this is."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)

    def _split(self, name: str) -> Any:
        if name not in SPLITS:
            raise ValueError(f"split must be one of {list(SPLITS)}; got {name!r}.")
        if not self._posed:
            raise RuntimeError("the data are not loaded yet. Call datamodule.setup() first.")
        return self._posed[name]

    def _loader(self, dataset: Any, **how: Any) -> DataLoader:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            collate_fn=_as_it_is,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **how,
        )


def _as_it_is(batch: Batch) -> Batch:
    """`__getitems__` made the batch already."""
    return batch
