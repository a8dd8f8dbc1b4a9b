"""Each level breaks the symmetry of the data in its own way, and training sets are nested."""

import math
from dataclasses import dataclass, field

import pytest
import torch

from eqvae.config import CONFIG_DIR, build, compose
from eqvae.data import (
    ImageDataModule,
    ImageSet,
    LimitedRotation,
    Lit,
    Posing,
    Rotated,
    RotatedShifted,
    Sprites,
    Stretched,
    Upright,
    UprightClasses,
    mnist5k,
)
from eqvae.data.posing import pose_images
from eqvae.domains import act_on_image
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry import compose as product
from eqvae.symmetry import motion

NEW = [LimitedRotation, UprightClasses, Stretched, Lit]
SHIFTS = {"shift_scale": 1.0, "max_shift": 2.0}
LABELS = torch.arange(20_000) % 10


class At(Posing):
    """Given motions under another posing's camera."""

    def __init__(self, g, posing):
        self.g, self.posing, self.size, self.seed = g, posing, posing.size, 0

    def draw(self, n, labels=None):
        return self.g

    def camera(self, images):
        return self.posing.camera(images)


def disc(size=41, radius=9.0):
    return (radius + 0.5 - pixel_coordinates(size, size).norm(dim=-1)).clamp(0, 1)[None, None]


def spread(image):
    """Second moments of x and y, px^2."""
    weight = image[0, 0] / image.sum()
    points = pixel_coordinates(*image.shape[-2:])
    mean = (weight[..., None] * points).sum((0, 1))
    return (weight[..., None] * (points - mean) ** 2).sum((0, 1))


@pytest.mark.parametrize("kind", NEW)
def test_shifts_are_those_of_rotated_shifted(kind):
    g = kind(seed=3, **SHIFTS).draw(500, LABELS[:500])
    plain = RotatedShifted(seed=3, **SHIFTS).draw(500)
    assert torch.equal(g[:, 2:], plain[:, 2:]) and g.dtype == plain.dtype
    assert torch.equal(g, kind(seed=3, **SHIFTS).draw(500, LABELS[:500]))
    assert not torch.equal(g, kind(seed=4, **SHIFTS).draw(500, LABELS[:500]))


@pytest.mark.parametrize("degrees", [45.0, 10.0])
def test_limited_angles_are_uniform_in_their_range(degrees):
    n, edge = 20_000, math.radians(degrees)
    angle = LimitedRotation(max_angle=degrees).draw(n)[:, 1].double()
    assert angle.abs().max() <= edge * (1 + 1e-6)
    assert float(angle.mean()) == pytest.approx(0, abs=4 * edge / math.sqrt(3 * n))
    share = torch.histc(angle, 10, -edge, edge) / n
    assert share.tolist() == pytest.approx([0.1] * 10, abs=4 * math.sqrt(0.09 / n)), (
        "four standard errors"
    )


def test_the_whole_range_is_rotated_shifted():
    angle = LimitedRotation(max_angle=180).draw(100)[:, 1]
    difference = (angle - RotatedShifted().draw(100)[:, 1]) / (2 * math.pi)
    assert torch.allclose(difference, difference.round(), atol=1e-6)


def test_upright_classes_are_never_turned_and_others_are():
    labels = LABELS[:2000]
    g = UprightClasses(classes=[6, 9]).draw(2000, labels)
    upright = (labels == 6) | (labels == 9)
    assert (g[upright, 1] == 0).all(), "exactly"
    assert torch.equal(g[~upright], RotatedShifted().draw(2000)[~upright])
    assert (g[~upright, 1] != 0).all() and (g[upright, 2:] != 0).all(), "but shifted"


def test_the_labels_of_the_source_reach_the_posing():
    source = Sprites(60, background="clean").load()
    posing = UprightClasses(40, (1, 4), **SHIFTS)
    rows = torch.tensor([5, 59, 0, 17, 33, 21])
    _, pose = pose_images(source, rows, posing)
    assert torch.equal(pose, posing.draw(60, source.labels)[rows])


def test_stretch_of_a_centred_disc():
    before, picture = disc(), Stretched(stretch=1.5).camera(disc())
    assert torch.allclose(spread(before)[0], spread(before)[1])
    assert (spread(picture) / spread(before)).tolist() == pytest.approx([1.5, 1 / 1.5], rel=0.01)
    assert float(picture.sum()) == pytest.approx(float(before.sum()), rel=0.01), "areas stay"
    assert torch.allclose(Stretched(stretch=1).camera(before), before, atol=1e-6)


def test_light_is_1_at_the_right_edge_and_falls_to_the_left():
    x = torch.full((2, 3, 9, 9), 0.5)
    factor = Lit(strength=0.5).camera(x) / x
    assert (factor[..., -1] == 1).all()
    assert (factor.diff(dim=-1) > 0).all() and (factor.diff(dim=-2) == 0).all()
    assert (float(factor.min()), float(factor.max())) == pytest.approx((1 / 3, 1))
    assert torch.equal(Lit(strength=0).camera(x), x)


@pytest.mark.parametrize("rendered", [False, True])
@pytest.mark.parametrize("posing", [RotatedShifted, Stretched, Lit])
def test_only_without_a_camera_turning_the_object_turns_the_picture(posing, rendered):
    """posed at r g = r (posed at g), for a quarter turn r, which is exact."""
    source = Sprites(12).load() if rendered else ImageSet(Sprites(12).load().images)
    rows, posing = torch.arange(12), posing(41, **SHIFTS)
    g, r = posing.draw(12), motion(torch.full((12,), math.pi / 2))
    turned, _ = pose_images(source, rows, At(product(r, g), posing))
    picture = act_on_image(r, pose_images(source, rows, At(g, posing))[0])
    error = float((turned - picture).norm() / picture.norm())
    if type(posing) is RotatedShifted:
        assert error < 1e-4, "control: rounding only"
    else:
        assert error > 0.1


def test_the_true_pose_is_the_one_before_the_camera():
    source, rows = Sprites(12).load(), torch.arange(12)
    plain = pose_images(source, rows, RotatedShifted(41))[1]
    for posing in (Stretched(41), Lit(41)):
        assert torch.equal(pose_images(source, rows, posing)[1], plain)


def module(source=None, **options):
    made = ImageDataModule(source or Sprites(100), Rotated(), **options)
    made.setup()
    return made


@dataclass(frozen=True)
class Grouped:
    """20 groups of 10 images."""

    images: torch.Tensor = field(default_factory=lambda: torch.rand(200, 1, 8, 8))

    def load(self):
        return ImageSet(self.images, groups=torch.arange(200) // 10)


@pytest.mark.parametrize("source", [Sprites(100), Grouped()], ids=["single", "grouped"])
def test_smaller_training_sets_are_parts_of_larger_ones(source):
    whole = module(source)
    small, large = module(source, limit=20), module(source, limit=50)
    full = module(source, limit=len(whole.train))
    assert len(small.train) == 20 and len(large.train) == 50
    assert torch.equal(small.train.indices, large.train.indices[:20])
    assert torch.equal(large.train.indices, full.train.indices[:50])
    assert torch.equal(full.train.indices.sort().values, whole.train.indices.sort().values)
    for part in ("val", "test"):
        assert torch.equal(getattr(small, part).images, getattr(whole, part).images)
    rows = (whole.train.indices[:, None] == small.train.indices).int().argmax(dim=0)
    assert torch.equal(small.train.images, whole.train.images[rows]), "posed alike"


def test_a_small_training_set_is_a_fair_sample():
    digits = mnist5k(Upright(), limit=200)
    digits.setup()
    assert digits.train.labels.unique().tolist() == list(range(10))
    grouped = module(Grouped(), limit=32)  # of 16 groups
    groups = (grouped.train.indices // 10).unique()
    assert len(groups) > 10, "not the first four groups"


def test_a_limit_above_the_train_split_says_how_many_there_are():
    with pytest.raises(ValueError, match="at most the 80 images of the train split; got 81. Lower"):
        module(limit=81)


@pytest.mark.parametrize("kind", NEW)
def test_size_and_shifts_are_checked(kind):
    with pytest.raises(ValueError, match="size of a posing must be a number of pixels"):
        kind(size=0)
    with pytest.raises(ValueError, match="max_shift must be positive"):
        kind(max_shift=0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LimitedRotation(max_angle=0), "max_angle must be above 0 and at most 180 degrees"),
        (lambda: LimitedRotation(max_angle=181), "max_angle must be .*; got 181"),
        (lambda: UprightClasses(classes=()), r"classes must be whole numbers .*; got \[\]"),
        (lambda: UprightClasses(classes=(6.5,)), r"classes must be .*; got \[6.5\]"),
        (
            lambda: UprightClasses().draw(3),
            r"labels must be known to keep classes \[6, 9\] upright",
        ),
        (
            lambda: UprightClasses().draw(2, torch.tensor([0, 1])),
            r"classes must occur among the labels \[0, 1\]; got \[6, 9\]",
        ),
        (lambda: Stretched(stretch=0), "stretch must be positive; got 0"),
        (lambda: Lit(strength=1.5), "strength must be from 0 to 1; got 1.5"),
    ],
)
def test_bad_levels_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


LEVELS = {
    "se2": RotatedShifted(33, **SHIFTS),
    "limited": LimitedRotation(33, 45.0, **SHIFTS),
    "upright": Upright(33),
    "broken": UprightClasses(33, (6, 9), **SHIFTS),
    "stretched": Stretched(33, 1.5, **SHIFTS),
    "lit": Lit(33, 0.5, **SHIFTS),
}
REAL = {"nuclei", "galaxies"}


def test_every_level_is_tested():
    assert {file.stem for file in (CONFIG_DIR / "level").glob("*.yaml")} == {*LEVELS, *REAL}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_differ_in_the_posing_alone(level):
    built = build(compose([f"level={level}", "data=sprites", "data.num_images=30"])["data"])
    assert built.pose == LEVELS[level] and built.source == Sprites(30)
    if level != "broken":  # sprites have no class 6
        built.setup()
        assert built.image_shape == (1, 33, 33)
    assert compose([f"level={level}"])["data"]["_target_"] == "eqvae.data.mnist5k"


@pytest.mark.parametrize("level", sorted(REAL))
def test_real_levels_compose(level):
    built = build(compose([f"level={level}", "data.limit=9", "data.path=x.npz"])["data"])
    assert built.source.path == "x.npz" and built.limit == 9
    assert isinstance(built.pose, RotatedShifted) and built.pose.max_shift == 4
