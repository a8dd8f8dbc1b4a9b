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
SCENARIOS = {
    "se2": (RotatedShifted(33, **SHIFTS), PLAIN),
    "limited": (RotatedShifted(33, angles=LimitedAngles(45.0), **SHIFTS), PLAIN),
    "upright": (Upright(33), PLAIN),
    "broken": (RotatedShifted(33, angles=UprightClasses((6, 9)), **SHIFTS), PLAIN),
    "stretched": (RotatedShifted(33, **SHIFTS), Stretch(1.5)),
    "lit": (RotatedShifted(33, **SHIFTS), Light(0.5)),
}
REAL = {"nuclei", "galaxies"}


def test_every_scenario_is_tested():
    assert {file.stem for file in (CONFIG_DIR / "scenario").glob("*.yaml")} == {*SCENARIOS, *REAL}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenarios_differ_in_posing_and_camera_alone(scenario):
    built = build(
        compose([f"scenario={scenario}", "data=sprites", "data.source.num_images=30"])["data"]
    )
    assert (built.pose, built.camera) == SCENARIOS[scenario] and built.source == Sprites(30)
    if scenario != "broken":  # sprites have no class 6
        built.setup()
        assert built.image_shape == (1, 33, 33)
    source = compose([f"scenario={scenario}"])["data"]["source"]
    assert source == {"_target_": "eqvae.data.MNIST5k"}


@pytest.mark.parametrize("scenario", sorted(REAL))
def test_real_scenarios_compose(scenario):
    built = build(
        compose([f"scenario={scenario}", "data.limit=9", "data.source.path=x.npz"])["data"]
    )
    assert built.source.path == "x.npz" and built.limit == 9
    assert isinstance(built.pose, RotatedShifted) and built.pose.max_shift == 4
    assert built.camera == PLAIN
