"""A batch: what is known travels together, through every way a batch can be changed."""

import math

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid
from eqvae.symmetry import compose, motion


def full(n: int = 4, size: int = 9) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.rand(n, 1, size, size, generator=generator),
        pose=motion(torch.arange(n) * 0.3, torch.ones(n, 2)),
        label=torch.arange(n),
        index=torch.arange(n) + 10,
        transfer=torch.rand(n, 5, generator=generator),
        mask=torch.ones(n, 1, size, size),
        pixel_size=torch.full((n,), 1.5),
    )


def test_rows_of_everything_that_is_known():
    batch = full()
    some = batch[torch.tensor([2, 0])]
    assert len(some) == 2
    for name in ("image", "pose", "label", "index", "transfer", "mask", "pixel_size"):
        assert torch.equal(getattr(some, name), getattr(batch, name)[[2, 0]])
    assert Batch(batch.image)[1:3].label is None


def test_a_dtype_concerns_numbers_only():
    moved = full().to("cpu", torch.float64)
    assert moved.image.dtype == moved.transfer.dtype == torch.float64
    assert moved.label.dtype == torch.int64
    assert full().to(torch.zeros(1, dtype=torch.float64)).pose.dtype == torch.float64


def test_motion_takes_mask_and_pose_along_and_leaves_the_optics():
    batch, g = full(), motion(math.pi / 2).expand(4, 4)
    moved = batch.act(g, SquareGrid(9))
    assert torch.equal(moved.image, torch.rot90(batch.image, 1, dims=(-2, -1)))
    assert torch.equal(moved.pose, compose(g, batch.pose))
    assert torch.equal(moved.transfer, batch.transfer) and torch.equal(moved.label, batch.label)
    shifted = batch.act(motion(shift=(20.0, 0.0)).expand(4, 4), SquareGrid(9))
    assert shifted.mask.abs().max() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": [1.0]}, TypeError, "image must be a tensor"),
        ({"image": torch.zeros(3, 9, 9)}, ValueError, r"must be \(B, C, H, W\); got \(3, 9, 9\)"),
        (
            {"image": torch.zeros(3, 1, 9, 9), "label": torch.zeros(2)},
            ValueError,
            "label must have one entry for each of the 3 images; got 2",
        ),
    ],
)
def test_refuses_what_does_not_belong_together(arguments, error, message):
    with pytest.raises(error, match=message):
        Batch(**arguments)
