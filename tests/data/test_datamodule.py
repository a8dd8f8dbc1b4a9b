"""The datamodule serves every image once an epoch, always the same way, and fast."""

import time
from dataclasses import dataclass

import pytest
import torch

from eqvae.data import (
    ImageDataModule,
    ImageSet,
    Rotated,
    RotatedShifted,
    Sprites,
    Upright,
    mnist5k,
)
from eqvae.domains import act_on_image


@dataclass(frozen=True)
class Given:
    """A user's own source."""

    images: torch.Tensor
    transfer: torch.Tensor | None = None

    def load(self):
        return ImageSet(self.images, transfer=self.transfer)


def ready(source=None, pose=None, **options):
    module = ImageDataModule(source or Sprites(100), pose or Rotated(), **options)
    module.setup()
    return module


def test_batches_are_what_the_conventions_say():
    module = ready(pose=RotatedShifted(50), batch_size=32)
    batch = next(iter(module.train_dataloader()))
    kinds = {key: (tuple(value.shape), value.dtype) for key, value in batch.items()}
    assert kinds == {
        "image": ((32, 1, 50, 50), torch.float32),
        "pose": ((32, 4), torch.float32),
        "label": ((32,), torch.int64),
        "index": ((32,), torch.int64),
    }
    assert module.image_shape == (1, 50, 50)
    expected = Sprites(100).render(batch["index"], batch["pose"], 50)
    assert torch.allclose(batch["image"], expected), "image, pose and index belong together"


def test_optics_come_with_their_images():
    transfer = torch.rand(20, 5)
    module = ready(Given(torch.rand(20, 1, 8, 8), transfer), batch_size=4)
    for batch in module.train_dataloader():
        assert torch.equal(batch["transfer"], transfer[batch["index"]])
    assert torch.equal(module.test[0]["transfer"], transfer[module.test.indices[0]])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_epoch_is_every_image_once(split):
    module = ready(batch_size=7)
    loader = getattr(module, f"{split}_dataloader")()
    seen = torch.cat([batch["index"] for batch in loader])
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
            orders.append(torch.cat([batch["index"] for batch in loader]))
        return orders

    first, again = epochs(), epochs()
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(("num_train", "lengths"), [(8, [4, 4]), (9, [4, 4]), (10, [4, 4, 2])])
def test_only_a_last_training_batch_of_one_is_dropped(num_train, lengths):
    n = num_train + 2
    module = ready(Sprites(n), batch_size=4, split=(num_train / n, 1 / n, 1 / n))
    assert [len(batch["image"]) for batch in module.train_dataloader()] == lengths
    single = ready(Sprites(n), batch_size=1, split=(num_train / n, 1 / n, 1 / n))
    assert len(single.train_dataloader()) == num_train


def test_posed_gives_the_same_images_under_another_posing():
    module = ready(mnist5k(Upright()).source, Upright(36))
    turned = module.posed("test", Rotated(36))
    assert torch.equal(turned.indices, module.test.indices)
    assert torch.equal(turned.labels, module.test.labels)
    assert torch.equal(turned.images, act_on_image(turned.poses, module.test.images).clamp(0, 1))
    assert len(module.loader(turned)) == 4, "500 images in batches of 128, the last partial"


def test_all_5000_digits_in_ten_classes():
    module = mnist5k(RotatedShifted())
    module.setup()
    assert torch.equal(module.images.labels.bincount(), torch.full((10,), 500))
    assert module.images.images.shape == (5000, 1, 28, 28)
    assert module.images.images.max() == 1
    assert set(module.val.labels[:60].tolist()) == set(range(10)), "the first ones are a mixture"


def test_loading_is_no_bottleneck():
    module = ready(Sprites(2000), RotatedShifted(50))
    loader = module.train_dataloader()
    start, count = time.perf_counter(), 0
    for _ in range(5):
        count += sum(len(batch["image"]) for batch in loader)
    assert count / (time.perf_counter() - start) > 20_000  # 150,000 to 300,000 on a quiet core


def test_workers_give_the_same_batches():
    alone, helped = (
        [batch["index"] for batch in ready(num_workers=w).val_dataloader()] for w in (0, 1)
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
        (
            torch.rand(10, 1, 8, 9),
            "must be square to be rotated; got 8x9 .*Crop them to 8x8 or pad",
        ),
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
    with pytest.raises(
        ValueError, match="transfer must have one entry for each of the 4 images; g"
    ):
        ImageSet(torch.rand(4, 1, 8, 8), transfer=torch.ones(3, 9))
    for wrong in (torch.ones(4), torch.ones(4, 1), torch.ones(4, 9).double()):
        with pytest.raises(
            ValueError, match=r"transfer must be a float32 tensor .N, Q. with Q >= 2"
        ):
            ImageSet(torch.rand(4, 1, 8, 8), transfer=wrong)


def test_optics_of_images_left_out_are_left_out():
    images, transfer = torch.rand(4, 1, 8, 8), torch.rand(4, 9)
    images[1] = 0.5
    with pytest.warns(match="number 1"):
        kept = ImageSet(images, transfer=transfer).usable(skip_unreadable=True)
    assert torch.equal(kept.transfer, transfer[[0, 2, 3]])
