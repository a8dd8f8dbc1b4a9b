"""The datamodule serves every image once an epoch, always the same way, and fast."""

import time
from dataclasses import dataclass, field, fields

import pytest
import torch

from eqvae.data import (
    Batch,
    ImageDataModule,
    ImageSet,
    Light,
    MNIST5k,
    Rotated,
    RotatedShifted,
    Sprites,
    Upright,
)
from eqvae.domains import SquareGrid
from eqvae.symmetry.motions import linear_of


@dataclass(frozen=True)
class Given:
    """A user's own source."""

    images: torch.Tensor
    known: dict = field(default_factory=dict)

    def load(self):
        return ImageSet(self.images, **self.known)


def ready(source=None, pose=None, **options):
    module = ImageDataModule(source or Sprites(100), pose or Rotated(), **options)
    module.setup()
    return module


def test_batches_are_what_the_conventions_say():
    module = ready(pose=RotatedShifted(50), batch_size=32)
    batch = next(iter(module.train_dataloader()))
    known = {f.name: getattr(batch, f.name) for f in fields(Batch)}
    kinds = {k: (tuple(v.shape), v.dtype) for k, v in known.items() if v is not None}
    assert kinds == {
        "image": ((32, 1, 50, 50), torch.float32),
        "pose": ((32, 4), torch.float32),
        "label": ((32,), torch.int64),
        "index": ((32,), torch.int64),
    }
    assert module.image_shape == (1, 50, 50)
    expected = Sprites(100).render(batch.index, batch.pose, 50)
    assert torch.allclose(batch.image, expected), "image, pose and index belong together"


def test_what_a_source_knows_of_an_image_comes_with_it():
    known = {
        "transfer": torch.rand(20, 5),
        "pixel_size": torch.rand(20),
        "masks": torch.rand(20, 1, 8, 8) > 0.5,
    }
    module = ready(Given(torch.rand(20, 1, 8, 8), known), Upright(), batch_size=4)
    for batch in [*module.train_dataloader(), module.test[:1]]:
        assert torch.equal(batch.transfer, known["transfer"][batch.index])
        assert torch.equal(batch.pixel_size, known["pixel_size"][batch.index])
        assert torch.equal(batch.mask, known["masks"][batch.index].float())


def test_masks_move_with_their_objects():
    masks = torch.zeros(20, 1, 9, 9, dtype=torch.bool)
    masks[:, :, 2:5, 2:8] = True
    posing = RotatedShifted(21, shift_scale=1.0, max_shift=2.0)
    moved = ready(Given(masks.float(), {"masks": masks}), posing).train[:]
    assert set(moved.mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(moved.mask, (moved.image > 0.5).float()), "here the image is the mask"
    still = ready(Given(masks.float(), {"masks": masks}), Upright(21)).train[:]
    assert not torch.equal(still.mask, moved.mask), "control"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_epoch_is_every_image_once(split):
    module = ready(batch_size=7)
    loader = getattr(module, f"{split}_dataloader")()
    seen = torch.cat([batch.index for batch in loader])
    assert torch.equal(seen.sort().values, getattr(module, split).indices.sort().values)
    assert len(loader.dataset) == len(seen)


def test_splits_do_not_overlap():
    module = ready()
    parts = [set(part.indices.tolist()) for part in (module.train, module.val, module.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100


def test_training_order_changes_by_epoch_and_not_by_run():
    def epochs(seed=0):
        torch.rand(3)  # the global random state must not matter
        loader = ready(seed=seed, batch_size=16).train_dataloader()
        orders = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)  # what the Trainer does
            orders.append(torch.cat([batch.index for batch in loader]))
        return orders

    first, again = epochs(), epochs()
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(("num_train", "lengths"), [(8, [4, 4]), (9, [4, 4]), (10, [4, 4, 2])])
def test_only_a_last_training_batch_of_one_is_dropped(num_train, lengths):
    n = num_train + 2
    module = ready(Sprites(n), batch_size=4, split=(num_train / n, 1 / n, 1 / n))
    assert [len(batch) for batch in module.train_dataloader()] == lengths
    single = ready(Sprites(n), batch_size=1, split=(num_train / n, 1 / n, 1 / n))
    assert len(single.train_dataloader()) == num_train


def test_posed_gives_the_same_images_under_another_posing():
    module = ready(MNIST5k(), Upright(36))
    turned = module.posed("test", Rotated(36))
    assert torch.equal(turned.indices, module.test.indices)
    assert torch.equal(turned.labels, module.test.labels)
    assert torch.equal(
        turned.images, SquareGrid(36).act(linear_of(turned.poses), module.test.images).clamp(0, 1)
    )
    lit = ready(camera=Light())
    assert torch.equal(
        lit.posed("test", Upright()).images, Light().take(ready(pose=Upright()).test.images)
    )
    assert len(module.loader(turned)) == 4, "500 images in batches of 128, the last partial"


def test_all_5000_digits_in_ten_classes():
    module = ready(MNIST5k(), Upright())
    assert torch.equal(module.images.labels.bincount(), torch.full((10,), 500))
    assert module.images.images.shape == (5000, 1, 28, 28)
    assert module.images.images.max() == 1
    assert set(module.val.labels[:60].tolist()) == set(range(10)), "the first ones are a mixture"


def test_loading_is_no_bottleneck():
    module = ready(Given(torch.rand(2000, 1, 50, 50)), Upright())
    loader = module.train_dataloader()
    start, count = time.perf_counter(), 0
    for _ in range(5):
        count += sum(len(batch) for batch in loader)
    assert count / (time.perf_counter() - start) > 20_000  # 150,000 to 300,000 on a quiet core


def test_workers_give_the_same_batches():
    alone, helped = (
        [batch.index for batch in ready(num_workers=w).val_dataloader()] for w in (0, 1)
    )
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_setup_comes_first_and_once():
    module = ImageDataModule(Sprites(20), Upright())
    with pytest.raises(RuntimeError, match="Call datamodule.setup"):
        _ = module.image_shape
    module.setup("fit")
    train = module.train
    module.setup("test")
    assert module.train is train


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1; got 0"),
        ({"batch_size": 2.5}, "batch_size must be .*got 2.5"),
        ({"num_workers": -1}, "num_workers must be .*got -1"),
        ({"split": (0.5, 0.1, 0.1)}, r"split must be .*sum to 1; got \[0.5, 0.1, 0.1\], sum 0.7"),
        ({"limit": 0}, "limit must be .*at least 1, or null for all; got 0"),
        ({"limit": 2.5}, "limit must be .*got 2.5"),
        ({"camera": "light"}, "camera must be a Camera; got 'light'. Choose data/camera=none, st"),
        (
            {"source": "mnist"},
            r"source must have a method load\(\) that returns an ImageSet; got 'm",
        ),
        ({"pose": "rotated"}, "pose must be a Posing; got 'rotated'. Choose data/pose=upright"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ImageDataModule(**{"source": Sprites(20), "pose": Upright(), **options})


def spoiled(value):
    images = torch.rand(10, 1, 8, 8)
    images[3] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (spoiled(float("nan")), r"1 of 10 images \(number 3\) are NaN or infinite"),
        (spoiled(float("inf")), r"number 3\) are NaN or infinite"),
        (spoiled(0.5), r"1 of 10 images \(number 3\) are of a single value throughout"),
        (255 * torch.rand(10, 1, 8, 8), r"must lie in \[0, 1\]; 10 of 10 .*and 5 more.*uint8"),
        (torch.rand(0, 1, 8, 8), "images is empty"),
        (torch.rand(10, 8, 8), "float32 tensor .N, C, H, H.; got torch.float32 of shape .10, 8, 8"),
        (torch.rand(10, 1, 8, 8).double(), "got torch.float64"),
        (torch.rand(2, 1, 8, 8), "needs at least 3 images; there are 2"),
    ],
)
def test_bad_images_are_refused_before_training(images, message):
    with pytest.raises(ValueError, match=message):
        ready(Given(images))


def test_facts_must_match_the_images():
    with pytest.raises(ValueError, match="labels must have one entry for each of the 4 images; g"):
        ImageSet(torch.rand(4, 1, 8, 8), labels=torch.zeros(3).long())
    for name in ("transfer", "masks", "pixel_size"):
        with pytest.raises(
            ValueError, match=f"{name} must have one entry for each of the 4 images"
        ):
            ImageSet(torch.rand(4, 1, 8, 8), **{name: torch.ones(3, 9)})
    for wrong in (torch.ones(4), torch.ones(4, 1), torch.ones(4, 9).double()):
        with pytest.raises(
            ValueError, match=r"transfer must be a float32 tensor .N, Q. with Q >= 2"
        ):
            ImageSet(torch.rand(4, 1, 8, 8), transfer=wrong)
    for wrong in (torch.ones(4, 1, 8, 8), torch.ones(4, 8, 8).bool()):
        with pytest.raises(
            ValueError, match=r"masks must be a bool tensor of shape \(4, 1, 8, 8\)"
        ):
            ImageSet(torch.rand(4, 1, 8, 8), masks=wrong)


def test_what_is_known_of_images_left_out_is_left_out():
    images = torch.rand(4, 1, 8, 8)
    known = {"transfer": torch.rand(4, 9), "masks": images > 0.5, "pixel_size": torch.rand(4)}
    images[1] = 0.5
    with pytest.warns(match="number 1"):
        kept = ImageSet(images, **known).usable(skip_unreadable=True)
    for name, values in known.items():
        assert torch.equal(getattr(kept, name), values[[0, 2, 3]])


@dataclass(frozen=True)
class Grouped:
    """20 groups of 10 images."""

    images: torch.Tensor = field(default_factory=lambda: torch.rand(200, 1, 8, 8))

    def load(self):
        return ImageSet(self.images, groups=torch.arange(200) // 10)


@pytest.mark.parametrize("source", [Sprites(100), Grouped()], ids=["single", "grouped"])
def test_smaller_training_sets_are_parts_of_larger_ones(source):
    whole = ready(source)
    small, large = ready(source, limit=20), ready(source, limit=50)
    full = ready(source, limit=len(whole.train))
    assert len(small.train) == 20 and len(large.train) == 50
    assert torch.equal(small.train.indices, large.train.indices[:20])
    assert torch.equal(large.train.indices, full.train.indices[:50])
    assert torch.equal(full.train.indices.sort().values, whole.train.indices.sort().values)
    for part in ("val", "test"):
        assert torch.equal(getattr(small, part).images, getattr(whole, part).images)
    rows = (whole.train.indices[:, None] == small.train.indices).int().argmax(dim=0)
    assert torch.equal(small.train.images, whole.train.images[rows]), "posed alike"


def test_a_small_training_set_is_a_fair_sample():
    digits = ready(MNIST5k(), Upright(), limit=200)
    assert digits.train.labels.unique().tolist() == list(range(10))
    grouped = ready(Grouped(), limit=32)  # of 16 groups
    groups = (grouped.train.indices // 10).unique()
    assert len(groups) > 10, "not the first four groups"


def test_a_limit_above_the_train_split_says_how_many_there_are():
    with pytest.raises(ValueError, match="at most the 80 images of the train split; got 81. Lower"):
        ready(limit=81)
