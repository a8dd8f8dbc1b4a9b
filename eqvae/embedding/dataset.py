"""The images of a datamodule in the order of the data, whatever split they are in."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch

from eqvae.data.batch import Batch
from eqvae.data.datamodule import SPLITS, ImageDataModule
from eqvae.embedding.frames import Frames
from eqvae.embedding.table import Embedding


class InOrder:
    """Batches of a split, as often as they are asked for.

    Args:
        data: set up.
        split: "train", "val", "test", or "all" of them.
        size: images in a batch.
        done: images that are known already: of the batches that hold them only the first comes.
        most: images, drawn at random where there are more; None for all.
        seed: of the draw.

    Attributes:
        names, classes: of the images and of their labels, None where there are none.
        index: numbers of the images' rows in the source's files, (N,).
        columns: what else the source says of the images, by name, (N,) each.
        frames: where the images were cut out of their fields, None where they were not.
    """

    def __init__(
        self,
        data: ImageDataModule,
        split: str,
        size: int,
        done: int = 0,
        *,
        most: int | None = None,
        seed: int = 0,
    ):
        self._data, self._split, self._drawn = data, split, {"most": most, "seed": seed}
        self.parts = [getattr(data, s) for s in (SPLITS if split == "all" else [split])]
        self.size, self.done = size, done
        index = torch.cat([part.indices for part in self.parts])
        part = torch.cat([torch.full_like(p.indices, i) for i, p in enumerate(self.parts)])
        row = torch.cat([torch.arange(len(p)) for p in self.parts])
        order = index.argsort()
        if most is not None and most < len(order):
            drawn = torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))
            order = order[drawn[:most].sort().values]
        self.part, self.row = part[order], row[order]
        names = data.images.names
        self.names = None if names is None else [names[i] for i in index[order].tolist()]
        self.classes = data.images.class_names
        self.numbers = data.images.rows
        rows = index[order]
        self.index = rows if self.numbers is None else self.numbers[rows]
        self.columns = {n: column[rows.numpy()] for n, column in data.images.columns.items()}
        self.frames = Frames.of(data, rows)

    @property
    def known(self) -> dict[str, Any]:
        """What `embed` takes beside the images."""
        return {name: getattr(self, name) for name in ("names", "classes", "columns", "frames")}

    @property
    def count(self) -> int:
        """Images in all batches."""
        return len(self.row)

    def after(self, done: int) -> "InOrder":
        """The same when the first `done` images are known."""
        return InOrder(self._data, self._split, self.size, done, **self._drawn)

    def __len__(self) -> int:
        return -(-(self.count - self.done) // self.size) + (self.done > 0)

    def __iter__(self) -> Iterator[Batch]:
        first = [0, *range(self.done, self.count, self.size)] if self.done else None
        for start in first or range(0, self.count, self.size):
            part = self.part[start : start + self.size]
            row = self.row[start : start + self.size]
            here = [(part == i).nonzero()[:, 0] for i in range(len(self.parts))]
            found = [
                p.__getitems__(row[rows].tolist()) for p, rows in zip(self.parts, here, strict=True)
            ]
            batch = _joined(found)[torch.cat(here).argsort()]
            yield batch if self.numbers is None else batch.replace(index=self.numbers[batch.index])


def rows_of(embedding: Embedding, images: InOrder) -> Embedding:
    """The rows of these images, in their order.

    Raises:
        ValueError: if an image has none.
    """
    place = {index: row for row, index in enumerate(embedding.column("index").tolist())}
    wanted = images.index.tolist()
    missing = next((index for index in wanted if index not in place), None)
    if missing is not None:
        raise ValueError(
            f"table must hold a row for each image; image {missing} has none. Embed the same images, or "
            "leave table out."
        )
    return Embedding(embedding.table.take([place[index] for index in wanted]))


def _joined(batches: list[Batch]) -> Batch:
    """One batch of several that know the same."""
    columns = {f.name: [getattr(batch, f.name) for batch in batches] for f in fields(Batch)}
    return Batch(**{name: torch.cat(c) for name, c in columns.items() if c[0] is not None})
