"""Distributions of the angle: each is what it says, and shifts are the same under all of them."""

import math

import pytest
import torch

from eqvae.data import AnyAngle, LimitedAngles, RotatedShifted, Sprites, UprightClasses
from eqvae.data.posing import pose_images
from eqvae.symmetry import angle_of, shift_of

NEW = [LimitedAngles(), UprightClasses()]
SHIFTS = {"shift_scale": 1.0, "max_shift": 2.0}
LABELS = torch.arange(20_000) % 10


@pytest.mark.parametrize("angles", NEW)
def test_shifts_are_the_same_under_every_angle(angles):
    def draw(seed):
        return RotatedShifted(seed=seed, angles=angles, **SHIFTS).draw(500, LABELS[:500])

    g, plain = draw(3), RotatedShifted(seed=3, **SHIFTS).draw(500)
    assert torch.equal(shift_of(g), shift_of(plain)) and g.dtype == plain.dtype
    assert torch.equal(g, draw(3)) and not torch.equal(g, draw(4))


@pytest.mark.parametrize("degrees", [45.0, 10.0])
def test_limited_angles_are_uniform_in_their_range(degrees):
    n, edge = 20_000, math.radians(degrees)
    angle = angle_of(RotatedShifted(angles=LimitedAngles(degrees)).draw(n)).double()
    assert angle.abs().max() <= edge * (1 + 1e-6)
    assert float(angle.mean()) == pytest.approx(0, abs=4 * edge / math.sqrt(3 * n))
    share = torch.histc(angle, 10, -edge, edge) / n
    assert share.tolist() == pytest.approx([0.1] * 10, abs=4 * math.sqrt(0.09 / n)), (
        "four standard errors"
    )


def test_the_whole_range_is_every_angle():
    whole, every = (RotatedShifted(angles=a).draw(100) for a in (LimitedAngles(180), AnyAngle()))
    difference = (angle_of(whole) - angle_of(every)) / (2 * math.pi)
    assert torch.allclose(difference, difference.round(), atol=1e-6)


def test_upright_classes_are_never_turned_and_others_are():
    labels = LABELS[:2000]
    g = RotatedShifted(angles=UprightClasses([6, 9])).draw(2000, labels)
    upright = (labels == 6) | (labels == 9)
    assert (angle_of(g)[upright] == 0).all(), "exactly"
    assert torch.equal(g[~upright], RotatedShifted().draw(2000)[~upright])
    assert (angle_of(g)[~upright] != 0).all() and (shift_of(g)[upright] != 0).all(), "but shifted"


def test_the_labels_of_the_source_reach_the_posing():
    source = Sprites(60, background="clean").load()
    posing = RotatedShifted(40, angles=UprightClasses((1, 4)), **SHIFTS)
    rows = torch.tensor([5, 59, 0, 17, 33, 21])
    pose = pose_images(source, rows, posing).pose
    assert torch.equal(pose, posing.draw(60, source.labels)[rows])


def test_seeds_give_what_they_always_gave():
    """Drawn by version 0.1.0, seed 3; stored runs and tables stand on these numbers."""
    labels = torch.arange(3)
    angles = {
        AnyAngle(): [0.21430811, 1.80164194, 4.85636759],
        LimitedAngles(45.0): [0.05357701, 0.45041043, -0.35670453],
        UprightClasses((1, 3)): [0.21430811, 0.0, 4.85636759],
    }
    shifts = [[-3.99000168, -0.79994154], [-1.14838147, 3.62665415], [-4.19475269, 1.13956606]]
    for kind, expected in angles.items():
        g = RotatedShifted(seed=3, angles=kind).draw(6, torch.arange(6))[labels]
        assert angle_of(g).tolist() == pytest.approx(expected, abs=1e-6)
        assert shift_of(g).flatten().tolist() == pytest.approx(sum(shifts, []), abs=1e-6)


@pytest.mark.parametrize("angles", NEW)
def test_size_and_shifts_are_checked(angles):
    with pytest.raises(ValueError, match="size of a posing must be a number of pixels"):
        RotatedShifted(size=0, angles=angles)
    with pytest.raises(ValueError, match="max_shift must be positive"):
        RotatedShifted(max_shift=0.0, angles=angles)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LimitedAngles(0), "max_angle must be above 0 and at most 180 degrees"),
        (lambda: LimitedAngles(181), "max_angle must be .*; got 181"),
        (lambda: UprightClasses(()), r"classes must be whole numbers .*; got \[\]"),
        (lambda: UprightClasses((6.5,)), r"classes must be .*; got \[6.5\]"),
        (
            lambda: RotatedShifted(angles=UprightClasses()).draw(3),
            r"labels must be known to keep classes \[6, 9\] upright.*data.source.label=label",
        ),
        (
            lambda: RotatedShifted(angles=UprightClasses()).draw(2, torch.tensor([0, 1])),
            r"classes must occur among the labels \[0, 1\]; got \[6, 9\].*data.pose.angles.classes",
        ),
        (lambda: RotatedShifted(angles=45.0), "angles must be Angles, .*; got 45.0. Choose data/p"),
    ],
)
def test_bad_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
