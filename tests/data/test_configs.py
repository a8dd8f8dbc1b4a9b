"""Every choice of data and of posing composes, builds, and says what is wrong with an override."""

from pathlib import Path

import numpy as np
import pytest

from eqvae.config import build, compose
from eqvae.data import Folder, ImageDataModule, Npz, Rotated, Sprites, Upright

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "data"
CLASSES = {"limited": "limitedrotation"}


@pytest.fixture
def composed(tmp_path):
    """configs/data alone, without the rest of the configuration."""
    (tmp_path / "data").symlink_to(CONFIGS)
    (tmp_path / "alone.yaml").write_text("defaults:\n  - data: mnist5k\n  - _self_\n")

    def composed(*overrides):
        return compose(overrides, tmp_path, name="alone")["data"]

    return composed


@pytest.mark.parametrize("pose", sorted(p.stem for p in (CONFIGS / "pose").glob("*.yaml")))
@pytest.mark.parametrize("data", sorted(p.stem for p in CONFIGS.glob("*.yaml")))
def test_every_data_goes_with_every_posing(composed, data, pose):
    module = build(composed(f"data={data}", f"data/pose={pose}"), path="data")
    assert isinstance(module, ImageDataModule)
    assert type(module.pose).__name__.lower() == CLASSES.get(pose, pose.replace("_", ""))


@pytest.mark.parametrize("data", sorted(p.stem for p in CONFIGS.glob("*.yaml")))
def test_yaml_states_the_defaults_of_python(composed, data):
    config = composed(f"data={data}")
    short = {key: config[key] for key in ("_target_", "pose", "path") if key in config}
    assert vars_of(build(config)) == vars_of(build(short))


def vars_of(module):
    names = ("source", "pose", "batch_size", "split", "seed", "num_workers", "limit")
    return {name: getattr(module, name) for name in names}


def test_overrides_reach_the_parts(composed, tmp_path):
    module = build(composed("data=npz", "data.path=x.npz", "data.group=source", "data.seed=4"))
    assert module.source == Npz("x.npz", group="source") and module.seed == 4
    assert module.pose == Upright(), "the user's images come as they are"
    module = build(composed("data=folder", "data.path=x", "data.skip_unreadable=true"))
    assert module.source == Folder("x", skip_unreadable=True)
    module = build(composed("data=sprites", "data/pose=rotated", "data.pose.size=33"))
    assert module.source == Sprites() and module.pose == Rotated(33)
    module = build(composed("data=mnist", "data.root=../shared/data"))
    assert module.source.root == "../shared/data"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.bath_size=3", "bath_size"),
        ("data.pose.sise=3", "sise"),
        ("data=mnist6k", "mnist6k"),
        ("data/pose=sideways", "sideways"),
        ("data.batch_size=0", "batch_size must be a whole number of at least 1"),
        ("data.batch_size=many", "batch_size"),
        ("data.split=[0.5,0.1,0.1]", "split must be three positive fractions"),
        ("data.pose.max_shift=-1", "max_shift must be positive"),
    ],
)
def test_a_bad_override_is_named(composed, override, message):
    with pytest.raises(ValueError, match=message):
        build(composed(override), path="data")


def test_a_generated_archive_end_to_end(composed, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 10, 10), dtype=np.uint8)
    np.savez(tmp_path / "cells.npz", images=images, source=np.arange(30) // 5)
    overrides = ["data=npz", f"data.path={tmp_path}/cells.npz", "data.group=source"]
    module = build(composed(*overrides, "data/pose=rotated", "data.pose.size=15"), path="data")
    module.setup()
    assert module.image_shape == (1, 15, 15)
    with pytest.raises(ValueError, match="path of the .npz archive is not set"):
        build(composed("data=npz"), path="data").setup()
