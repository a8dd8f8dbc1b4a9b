"""Images of any shape on one canvas: objects stay where they are, and what is known follows them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eqvae.data import Canvas, Grey, ImageDataModule, ImageSet, Sprites, Upright
from eqvae.data.canvas import fourier_resampled
from eqvae.data.formats import Stored
from eqvae.data.optics import ctf_table
from eqvae.data.pixels import Pixels
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import identity, motion, shift_of


def blob(height: int, width: int, x: float, y: float, wide: float = 2.5) -> torch.Tensor:
    """A bump at (x, y) from the image centre, (1, 1, H, W)."""
    points = pixel_coordinates(height, width, dtype=torch.float64)
    apart = (points - torch.tensor([x, y], dtype=torch.float64)).square().sum(-1)
    return torch.exp(-apart / (2 * wide**2))[None, None].float()


def centre(image: torch.Tensor) -> torch.Tensor:
    points = pixel_coordinates(*image.shape[-2:]).double()
    return (image[0, 0].double()[..., None] * points).sum((0, 1)) / image.double().sum()


def one(image: torch.Tensor, x: float, y: float, **known) -> ImageSet:
    pose = motion(torch.tensor([0.3]), torch.tensor([[x, y]]), dtype=torch.float32)
    return ImageSet(image, poses=pose, **known)


@pytest.mark.parametrize("size", [15, 16, 24, 31, 40, 64])
@pytest.mark.parametrize("before", [32, 33])
def test_resampling_keeps_objects_where_they_are(before, size):
    found = Canvas(size=size).of(
        one(blob(before, before, 2.0, -1.5), 2.0, -1.5, pixel_size=torch.tensor([1.5]))
    )
    assert found.images.shape == (1, 1, size, size)
    torch.testing.assert_close(
        centre(found.images).float(), shift_of(found.poses)[0], atol=0.02, rtol=0
    )
    expected = blob(size, size, *shift_of(found.poses)[0].tolist(), wide=2.5 * size / before)
    assert (found.images - expected).abs().max() < 0.02
    assert float(found.pixel_size) == pytest.approx(1.5 * before / size)


def test_resampling_agrees_with_a_pure_wave_and_removes_what_the_grid_cannot_hold():
    """Against its formula, in float64; the control is a wave above the new grid's edge."""
    x = pixel_coordinates(32, 32, dtype=torch.float64)[..., 0]
    slow, fast = (torch.cos(2 * math.pi * k * (x + 0.3) / 32)[None, None] for k in (5, 13))
    x = pixel_coordinates(20, 20, dtype=torch.float64)[..., 0] * 32 / 20
    expected = torch.cos(2 * math.pi * 5 * (x + 0.3) / 32)[None, None]
    torch.testing.assert_close(fourier_resampled(slow, 20), expected, atol=1e-12, rtol=0)
    assert fourier_resampled(fast, 20).abs().max() < 1e-12
    there_and_back = fourier_resampled(fourier_resampled(slow, 47), 32)
    torch.testing.assert_close(there_and_back, slow, atol=1e-12, rtol=0)


@pytest.mark.parametrize("square", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(20, 27), (27, 20), (20, 26), (21, 20)])
def test_squares_keep_objects_where_they_are(square, shape):
    found = Canvas(square).of(one(blob(*shape, 1.0, 2.0, wide=1.5), 1.0, 2.0))
    side = min(shape) if square == "crop" else max(shape)
    assert found.images.shape == (1, 1, side, side)
    torch.testing.assert_close(
        centre(found.images).float(), shift_of(found.poses)[0], atol=0.02, rtol=0
    )
    assert "cut to the middle" in found.said[0] if square == "crop" else "padded" in found.said[0]


def test_padding_has_the_grey_of_the_border():
    image = torch.full((2, 3, 10, 16), 0.25)
    image[1] = 0.75
    found = Canvas("pad").of(ImageSet(image)).images
    assert (
        torch.equal(found[:, 0, 0, 0], torch.tensor([0.25, 0.75])) and found.unique().numel() == 2
    )


def test_optics_keep_their_physical_frequencies():
    """The CTF of twice as large pixels is the CTF that those pixels have."""
    defocus = torch.tensor([1.2, 2.0])
    fine, coarse = (ctf_table(defocus, size, 300.0, 2.7, 0.1) for size in (2.0, 4.0))
    count = fine.shape[1]
    coarse = F.interpolate(coarse[:, None], count, mode="linear", align_corners=True)[:, 0]
    images = ImageSet(
        torch.rand(2, 1, 32, 32), transfer=fine.float(), pixel_size=torch.full((2,), 2.0)
    )
    found = Canvas(size=16).of(images)
    torch.testing.assert_close(found.transfer, coarse.float(), atol=0.02, rtol=0)
    assert (images.transfer - coarse).abs().max() > 1  # the control: left as it was


def test_masks_come_along():
    image = blob(24, 32, 3.0, 1.0)
    found = Canvas(size=12).of(ImageSet(image, masks=image > 0.5))
    assert float((found.masks == (found.images > 0.5)).float().mean()) > 0.97


def test_images_in_files_are_not_read_for_it():
    reads = []

    def part(first, last):
        reads.append((first, last))
        return np.full((last - first, 20, 30), 7, np.uint8)

    stored = Stored.of((50, 20, 30), np.dtype("u1"), part)
    images = ImageSet(Pixels(stored, Grey().settled(np.zeros((1, 1, 2, 2), np.uint8))))
    found = Canvas(size=10).of(images).images
    assert found.shape == (50, 1, 10, 10) and reads == []
    assert found[torch.tensor([4, 9])].shape == (2, 1, 10, 10) and reads == [(4, 5), (9, 10)]


def test_a_datamodule_puts_its_images_on_the_canvas():
    class Wide:
        def load(self):
            return ImageSet(torch.rand(20, 1, 12, 16), poses=identity(20, dtype=torch.float32))

    data = ImageDataModule(Wide(), Upright(), canvas=Canvas("pad", 8))
    data.setup()
    assert data.image_shape == (1, 8, 8) and len(data.images.said) == 2


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="square must be one of crop, pad; got 'fit'"):
        Canvas("fit")
    with pytest.raises(ValueError, match="size of the canvas .* got 2"):
        Canvas(size=2)
    with pytest.raises(ValueError, match="these are drawn. Set the source's own size"):
        Canvas(size=20).of(Sprites(num_images=4).load())
    with pytest.raises(ValueError, match="canvas must be an eqvae.data.Canvas; got 28"):
        ImageDataModule(Sprites(), Upright(), canvas=28)
