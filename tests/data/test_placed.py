"""True poses say where objects really are, however images are squared, resampled, padded and moved."""

import pytest
import torch

from eqvae.data import Canvas, ImageDataModule, ImageSet, MNIST5k, RotatedShifted, Upright
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import angle_of, motion, shift_of

TURNS, SHIFTS = torch.tensor([0.4, -1.1, 2.5, 0.0]), torch.tensor([[1.0, 2.0], [-1.5, 0.3]] * 2)


def arrows(height, width):
    """A large and a small bump about each place, the small one in front: (4, 1, H, W)."""
    points = pixel_coordinates(height, width).double()
    heading = torch.stack([TURNS.cos(), TURNS.sin()], dim=1)
    bumps = [
        weight * (-(points - (SHIFTS + along * heading)[:, None, None]).square().sum(-1) / 4).exp()
        for weight, along in ((0.6, -2.0), (0.3, 4.0))
    ]
    return sum(bumps)[:, None].float()


def seen(images):
    """Centres of mass (N, 2), and the direction of the longer tail, radians, (N,)."""
    points = pixel_coordinates(*images.shape[-2:]).double()
    mass = images[:, 0].double()[..., None].clamp(min=0)
    mass = torch.where(mass > 0.004, mass, 0.0)
    centre = (mass * points).sum((1, 2)) / mass.sum((1, 2))
    apart = points - centre[:, None, None]
    tail = (mass * apart * apart.square().sum(-1, keepdim=True)).sum((1, 2))
    return centre, torch.atan2(tail[:, 1], tail[:, 0])


@pytest.mark.parametrize("pose", [Upright, RotatedShifted])
@pytest.mark.parametrize("shown", [None, 1, 8, 9])
@pytest.mark.parametrize(
    ("shape", "canvas"),
    [
        ((26, 26), Canvas()),
        ((27, 27), Canvas()),
        ((26, 31), Canvas()),
        ((30, 25), Canvas("pad")),
        ((26, 26), Canvas(size=33)),
        ((30, 25), Canvas("pad", size=41)),
    ],
)
def test_poses_are_where_objects_are(pose, shown, shape, canvas):
    class Source:
        def load(self):
            return ImageSet(arrows(*shape), poses=motion(TURNS, SHIFTS, dtype=torch.float32))

    side = canvas.size or canvas.side(*shape)
    size = None if shown is None else side + shown
    own = {"shift_scale": 1.0, "max_shift": 1.5} if pose is RotatedShifted else {}
    made = Upright(size) if pose is Upright else pose(size=size, **own)
    data = ImageDataModule(Source(), made, canvas=canvas, split=(0.5, 0.25, 0.25))
    data.setup()
    for part in (data.train, data.val, data.test):
        centre, turn = seen(part.images)
        assert (centre - shift_of(part.poses)).norm(dim=1).max() < 0.1
        apart = turn - angle_of(part.poses).double()
        assert torch.atan2(apart.sin(), apart.cos()).abs().max() < 0.03


@pytest.mark.parametrize("size", [28, 33])
def test_digits_are_where_their_poses_say(size):
    data = ImageDataModule(MNIST5k(), RotatedShifted(size=size, max_shift=2.0))
    data.setup()
    centre, _ = seen(data.test.images)
    apart = centre - shift_of(data.test.poses)
    turned = torch.stack([angle_of(data.test.poses).cos(), angle_of(data.test.poses).sin()], dim=1)
    along = (apart * turned).sum(1).mean()
    assert along.abs() < 0.1 and apart.mean(0).norm() < 0.1
