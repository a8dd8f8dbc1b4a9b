"""The scenarios of symmetry differ in posing and camera alone."""

import pytest

from eqvae.config import CONFIG_DIR, build, compose
from eqvae.data import (
    Light,
    LimitedAngles,
    PlainCamera,
    RotatedShifted,
    Sprites,
    Stretch,
    Upright,
    UprightClasses,
)

SHIFTS = {"shift_scale": 1.0, "max_shift": 2.0}
PLAIN = PlainCamera()
LEVELS = {
    "se2": (RotatedShifted(33, **SHIFTS), PLAIN),
    "limited": (RotatedShifted(33, angles=LimitedAngles(45.0), **SHIFTS), PLAIN),
    "upright": (Upright(33), PLAIN),
    "broken": (RotatedShifted(33, angles=UprightClasses((6, 9)), **SHIFTS), PLAIN),
    "stretched": (RotatedShifted(33, **SHIFTS), Stretch(1.5)),
    "lit": (RotatedShifted(33, **SHIFTS), Light(0.5)),
}
REAL = {"nuclei", "galaxies"}


def test_every_level_is_tested():
    assert {file.stem for file in (CONFIG_DIR / "level").glob("*.yaml")} == {*LEVELS, *REAL}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_differ_in_posing_and_camera_alone(level):
    built = build(compose([f"level={level}", "data=sprites", "data.source.num_images=30"])["data"])
    assert (built.pose, built.camera) == LEVELS[level] and built.source == Sprites(30)
    if level != "broken":  # sprites have no class 6
        built.setup()
        assert built.image_shape == (1, 33, 33)
    source = compose([f"level={level}"])["data"]["source"]
    assert source == {"_target_": "eqvae.data.MNIST5k"}


@pytest.mark.parametrize("level", sorted(REAL))
def test_real_levels_compose(level):
    built = build(compose([f"level={level}", "data.limit=9", "data.source.path=x.npz"])["data"])
    assert built.source.path == "x.npz" and built.limit == 9
    assert isinstance(built.pose, RotatedShifted) and built.pose.max_shift == 4
    assert built.camera == PLAIN
