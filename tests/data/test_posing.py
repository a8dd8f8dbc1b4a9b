"""The true pose of a posed image: sign, order and centre."""

import math

import numpy as np
import pytest
import torch

from eqvae.data import ImageSet, Npz, Rotated, RotatedShifted, Sprites, Upright
from eqvae.data.posing import Posing, pad_to, pose_images
from eqvae.domains import SquareGrid
from eqvae.symmetry import angle_of, inverse, motion, shift_of
from eqvae.symmetry.motions import identity

POSINGS = [Upright(12), Rotated(12), RotatedShifted(12, shift_scale=1.0, max_shift=2.0)]


class Fixed(Posing):
    """Gives every image the same motion."""

    def __init__(self, g, size=None):
        self.g, self.size, self.seed = g.float(), size, 0

    def draw(self, n, labels=None):
        return self.g.expand(n, -1)


def arrow():
    """An arrow that points right, its tip off-centre upwards; drawn by hand."""
    rows = [
        ".......",
        "....#..",
        ".....#.",
        ".######",
        ".....#.",
        ".......",
        ".......",
    ]
    return torch.tensor([[float(c == "#") for c in row] for row in rows])[None, None]


def blobs(n=6, size=8):
    """Smooth random images."""
    noise = torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    smooth[..., 0, :] = smooth[..., -1, :] = smooth[..., :, 0] = smooth[..., :, -1] = 0
    return ImageSet(smooth, poses=identity(n))


def test_positive_angle_turns_counter_clockwise():
    source = ImageSet(arrow(), poses=identity(1))
    posed = pose_images(source, torch.tensor([0]), Fixed(motion(math.pi / 2)))
    assert torch.equal(posed.image, torch.rot90(arrow(), 1, dims=(-2, -1)))
    assert posed.image[0, 0, 0, 3] == 1, "the tip points up"
    assert float(angle_of(posed.pose)) == pytest.approx(math.pi / 2)


def test_positive_shift_goes_right_and_up():
    source = ImageSet(pad_to(arrow(), 11), poses=identity(1))
    posed = pose_images(source, torch.tensor([0]), Fixed(motion(0.0, (2.0, 1.0)))).image
    assert posed[0, 0, 4, 10] == 1, "the tip moved from row 5, column 8"


def test_rotation_comes_before_shift():
    source = ImageSet(pad_to(arrow(), 11), poses=identity(1))
    g = motion(math.pi / 2, (2.0, 0.0))
    posed = pose_images(source, torch.tensor([0]), Fixed(g)).image
    assert posed[0, 0, 2, 7] == 1, "the tip is above the moved centre"


@pytest.mark.parametrize("posing", POSINGS, ids=lambda p: type(p).__name__)
def test_posed_image_is_the_true_motion_of_the_padded_one(posing):
    source = blobs()
    rows = torch.tensor([4, 1, 2])
    posed = pose_images(source, rows, posing)
    padded = pad_to(source.images[rows], 12)
    assert torch.equal(posed.image, SquareGrid(12).act(posed.pose, padded).clamp(0, 1))


def test_the_inverse_pose_brings_the_image_back():
    source = Sprites(6, radius=(8, 9)).load()  # smooth, so that resampling loses little
    rows = torch.arange(6)
    posed = pose_images(source, rows, RotatedShifted(41, 2.0, 4.0))
    upright = pose_images(source, rows, Upright(41)).image

    def error(g):
        back = SquareGrid(41).act(g, posed.image, "fourier")
        return float((back - upright).norm() / upright.norm())

    assert error(inverse(posed.pose)) < 0.01
    assert error(posed.pose) > 0.3, "control: the pose itself is not its inverse"


def test_known_poses_of_the_source_are_composed():
    source_pose = motion(torch.tensor([0.3, 1.0]), torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
    source = ImageSet(torch.rand(2, 1, 8, 8), poses=source_pose.float())
    g = motion(math.pi / 2, (3.0, 0.0))
    pose = pose_images(source, torch.tensor([0, 1]), Fixed(g)).pose
    # first the source's pose, then g: (1, 2) turns to (-2, 1), then moves by (3, 0)
    expected = torch.tensor([[0, 0.3 + math.pi / 2, 1, 1], [0, 1 + math.pi / 2, 4, 0]])
    assert torch.allclose(pose, expected, atol=1e-6)


def test_unknown_poses_stay_unknown_unless_the_user_vouches(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).random((4, 8, 8)))
    for aligned in (False, True):
        source = Npz(str(tmp_path / "x.npz"), aligned=aligned).load()
        pose = pose_images(source, torch.arange(4), Rotated()).pose
        assert pose.isfinite().all() == aligned


@pytest.mark.parametrize("posing", POSINGS, ids=lambda p: type(p).__name__)
def test_draws_are_fixed_by_the_seed(posing):
    assert torch.equal(posing.draw(50), posing.draw(50))
    if not isinstance(posing, Upright):
        assert len(posing.draw(50).unique(dim=0)) == 50, "every image gets its own motion"
        other = type(posing)(size=12, seed=1)
        assert not torch.equal(posing.draw(50), other.draw(50))


def test_the_same_seed_gives_the_same_angles_under_every_posing():
    turned, moved = (posing(seed=3).draw(9) for posing in (Rotated, RotatedShifted))
    assert torch.equal(angle_of(turned), angle_of(moved))


def test_distribution_of_the_draws():
    n = 20_000
    g = RotatedShifted().draw(n)
    angle, shift = angle_of(g).double(), shift_of(g).double()
    assert (angle >= 0).all() and (angle < 2 * math.pi).all()
    resultant = torch.polar(torch.ones_like(angle), angle).mean().abs()
    assert resultant < 4 / math.sqrt(n), "uniform on the circle, four standard errors"
    assert (shift.abs() <= 10).all()
    # a standard normal distribution cut at 2 has variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737
    scale = 5 * math.sqrt(0.7737)
    assert shift.std(dim=0) == pytest.approx([scale, scale], rel=0.03)
    assert shift.mean(dim=0) == pytest.approx([0, 0], abs=4 * scale / math.sqrt(n))
    assert (shift.abs() > 9.99).double().mean() < 0.005, "drawn again, not piled up at the cut"


def test_posed_values_stay_in_the_unit_interval():
    source = ImageSet((torch.rand(8, 1, 12, 12) > 0.5).float())
    posed = pose_images(source, torch.arange(8), Rotated()).image
    assert posed.min() >= 0 and posed.max() <= 1


def test_size_smaller_than_the_images_is_an_error():
    with pytest.raises(ValueError, match=r"at least the images' 8 pixels; got 6. Set data.pose.s"):
        pose_images(blobs(), torch.arange(2), Upright(6))


@pytest.mark.parametrize("size", [0, -3, 2.5, "big"])
def test_size_must_be_a_number_of_pixels(size):
    with pytest.raises(ValueError, match="size of a posing must be a number of pixels"):
        Rotated(size)


@pytest.mark.parametrize("name", ["shift_scale", "max_shift"])
def test_shift_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be positive .*data/pose=rotated"):
        RotatedShifted(**{name: 0.0})
