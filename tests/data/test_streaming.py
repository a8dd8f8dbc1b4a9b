"""Images that stay in their files: the same batches as from memory, every file read once an epoch."""

import numpy as np
import pytest
import torch

from eqvae.data import Grey, ImageDataModule, ImageSet, Rotated, Stack, StreamedImages
from eqvae.data.formats import Stored
from eqvae.data.pixels import Blocks, Pixels

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.integers(0, 255, (900, 8, 8)).astype("u1")
VALUES[:, 3, 4] = 255


class Counted:
    """Stored images that note what is read."""

    chunk = 1

    def __init__(self, values):
        self.inner, self.reads = Stored.array(values), []
        self.shape, self.dtype = self.inner.shape, self.inner.dtype

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, rows):
        self.reads.append(np.asarray(rows))
        return self.inner[rows]


class Source:
    def __init__(self, values=VALUES):
        self.stored = Counted(values)

    def load(self):
        settled = Grey("dtype", 0.0, 255.0, False)
        return ImageSet(Pixels(self.stored, settled), labels=torch.arange(len(self.stored)) % 7)


def ready(memory, source=None, **options):
    data = ImageDataModule(
        source or Source(), Rotated(size=10), batch_size=64, memory=memory, **options
    )
    data.setup()
    return data


def test_streamed_images_are_those_from_memory():
    streamed, kept = ready(1e-6), ready(1.0)
    assert isinstance(streamed.train, StreamedImages) and not isinstance(kept.train, StreamedImages)
    assert "stay in their files" in streamed.images.said[-1] and not kept.images.said
    for name in ("train", "val", "test"):
        one, other = getattr(streamed, name), getattr(kept, name)
        assert len(one) == len(other) and one.image_shape == other.image_shape
        for field in ("indices", "labels", "poses"):
            torch.testing.assert_close(getattr(one, field), getattr(other, field), equal_nan=True)
        rows = torch.randperm(len(one))[:40]
        assert torch.equal(one[rows].image, other[rows].image)
        assert torch.equal(one[:5].image, other[:5].image)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_is_every_image_once_and_what_belongs_to_it(workers):
    data = ready(1e-6, num_workers=workers)
    whole = ready(1.0)
    known = {
        int(i): image for i, image in zip(whole.train.indices, whole.train.images, strict=True)
    }
    batches = list(data.train_dataloader())
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == sorted(data.train.indices.tolist())
    for batch in batches:
        for i, image in zip(batch.index.tolist(), batch.image, strict=True):
            assert torch.equal(image, known[i])


def test_the_order_is_a_function_of_seed_and_epoch_and_well_mixed(monkeypatch):
    monkeypatch.setattr("eqvae.data.pixels._BLOCK", 16)
    data = ready(1e-6)
    order = data.train.mixed(0, 1, 0)
    first = list(order)
    assert first == list(order)
    order.set_epoch(1)
    assert first != list(order) and sorted(first) == sorted(order)
    place = data.train.indices[torch.tensor(first)].double()
    follows = torch.corrcoef(torch.stack([place[:-1], place[1:]]))[0, 1]
    assert abs(float(follows)) < 0.1  # neighbours in the file do not come together
    batch = data.train.indices[torch.tensor(first[:64])] // 16
    assert len(batch.unique()) > 20  # blocks in one batch


def test_processes_share_an_epoch():
    data = ready(1e-6)
    parts = [list(data.train.mixed(0, 2, rank)) for rank in (0, 1)]
    assert len(parts[0]) == len(parts[1])
    assert sorted(parts[0] + parts[1]) == list(range(len(data.train)))


def test_every_block_is_read_once_in_an_epoch(monkeypatch):
    """Every window fits into memory, with what the next one begins."""
    monkeypatch.setattr("eqvae.data.pixels._BLOCK", 16)
    monkeypatch.setattr("eqvae.data.pixels._WINDOW_BYTES", 16 * 64 * 10)
    source = Source()
    data = ready(1e-6, source)
    for loader in (data.train_dataloader(), data.test_dataloader()):
        source.stored.reads.clear()
        list(loader)
        first = [int(rows[0]) for rows in source.stored.reads]
        assert len(first) == len(set(first)) <= -(-len(VALUES) // 16)
    assert len(data.train.blocks._kept) <= data.train.blocks.window + 2
    source.stored.reads.clear()  # the control: a random order reads blocks again and again
    rows = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    for batch in rows.split(64):
        data.train.__getitems__(batch.tolist())
    assert len(source.stored.reads) > 100


def test_the_first_images_are_read_in_the_order_of_the_file():
    data = ready(1e-6)
    order = data.train.reading_order(100)
    assert sorted(order.tolist()) == list(range(100))
    assert torch.equal(data.train.indices[order], data.train.indices[:100].sort().values)


def test_rows_of_chunks_are_read_together():
    reads = []

    def part(first, last):
        reads.append((first, last))
        return VALUES[first:last]

    stored = Stored.of(VALUES.shape, VALUES.dtype, part, chunk=100)
    rows = np.array([250, 3, 99, 3, 720, 120])
    assert np.array_equal(stored[rows][:, 0], VALUES[rows])
    assert reads == [(3, 251), (720, 721)]
    with pytest.raises(IndexError, match="from 0 to 899; got 900"):
        stored[np.array([900])]


def test_every_image_is_read_twice_before_training_once_to_look_and_once_for_grey(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("eqvae.data.sources.stored._FEW_BYTES", 0)
    np.save(tmp_path / "a.npy", VALUES)
    count, whole = [], Stored.__getitem__
    monkeypatch.setattr(
        Stored, "__getitem__", lambda self, rows: count.append(len(rows)) or whole(self, rows)
    )
    found = Stack(str(tmp_path / "a.npy")).load()
    assert sum(count) == 2 + 2 * len(VALUES)  # and the first and the last, when it is opened
    flat = VALUES.reshape(len(VALUES), -1)
    assert np.array_equal(found.images.ends, np.stack([flat.min(1), flat.max(1)], axis=1))


def test_unusable_images_are_found_and_left_out_without_losing_track(tmp_path, monkeypatch):
    monkeypatch.setattr("eqvae.data.sources.stored._FEW_BYTES", 0)
    values = VALUES.astype("f4") / 255
    values[5, 2, 2], values[600], values[7, 1, 1] = np.nan, 0.5, np.inf
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(
        ValueError, match=r"2 of 900 images .number 5, number 7. are NaN or infinite"
    ):
        Stack(str(tmp_path / "a.npy")).load()
    with pytest.warns(UserWarning, match="left out"):
        found = Stack(str(tmp_path / "a.npy"), skip_unreadable=True).load()
    assert len(found) == 897 and found.rows[5] == 6
    np.testing.assert_allclose(found.images[torch.tensor([6])][0, 0], values[8], atol=1e-6)
    blocks = Blocks(found.images)
    rows = torch.randperm(897)[:50]
    assert torch.equal(blocks[rows], found.images[rows])


def test_extremes_are_those_of_the_images_for_every_way_to_read_them():
    keep = RANDOM.random(VALUES.shape) > 0.5
    for mode in ("dtype", "range", "percentile", "zscore", "background"):
        for invert in (False, True):
            settled = Grey(mode, invert=invert).settled(VALUES[:, None])
            for kept in (None, keep):
                pixels = Pixels(Stored.array(VALUES), settled, keep=kept)
                flat = pixels[:].flatten(1)
                low, high = pixels.extremes()
                assert torch.equal(low, flat.amin(1)) and torch.equal(high, flat.amax(1))


def test_memory_must_be_positive():
    with pytest.raises(ValueError, match="memory must be a positive number of GiB; got 0"):
        ready(0)
