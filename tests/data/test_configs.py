"""Every choice of data, posing and camera composes, builds, and says what is wrong with an override."""

from pathlib import Path

import numpy as np
import pytest

from eqvae.config import build, compose
from eqvae.data import Folder, ImageDataModule, LimitedAngles, Npz, Rotated, Sprites, Upright

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "data"
# of structures: tests/three/test_vae_run.py
STRUCTURES = {"adk", "chains", "conformers", "structures", "still", "moved"}
DATA = sorted(p.stem for p in CONFIGS.glob("[!_]*.yaml") if p.stem not in STRUCTURES)
POSES = {
    "limited": ("RotatedShifted", "LimitedAngles"),
    "rotated": ("Rotated", None),
    "rotated_shifted": ("RotatedShifted", "AnyAngle"),
    "scaled": ("RotatedShifted", "AnyAngle"),
    "upright": ("Upright", None),
    "upright_classes": ("RotatedShifted", "UprightClasses"),
}
CAMERAS = {"light": "Light", "none": "PlainCamera", "stretch": "Stretch"}


def name_of(part):
    return None if part is None else type(part).__name__


@pytest.fixture
def composed(tmp_path):
    """configs/data alone, without the rest of the configuration."""
    (tmp_path / "data").symlink_to(CONFIGS)
    (tmp_path / "alone.yaml").write_text("defaults:\n  - data: mnist5k\n  - _self_\n")

    def composed(*overrides):
        return compose(overrides, tmp_path, name="alone")["data"]

    return composed


def test_every_choice_is_tested():
    for group, tested in (("pose", POSES), ("camera", CAMERAS)):
        found = {file.stem for file in (CONFIGS / group).glob("*.yaml")}
        assert found - STRUCTURES == set(tested)


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("data", DATA)
def test_every_data_goes_with_every_posing_and_camera(composed, data, pose):
    camera = list(CAMERAS)[list(POSES).index(pose) % len(CAMERAS)]
    config = composed(f"data={data}", f"data/pose={pose}", f"data/camera={camera}")
    module = build(config, path="data")
    assert isinstance(module, ImageDataModule)
    assert name_of(module.source).lower() == data
    assert (name_of(module.pose), name_of(getattr(module.pose, "angles", None))) == POSES[pose]
    assert name_of(module.camera) == CAMERAS[camera]


@pytest.mark.parametrize("data", DATA)
def test_yaml_states_the_defaults_of_python(composed, data):
    config = composed(f"data={data}")
    short = {key: config[key] for key in ("_target_", "pose")}
    short["source"] = {"_target_": config["source"]["_target_"]}
    assert vars_of(build(config)) == vars_of(build(short))


def vars_of(module):
    names = ("source", "pose", "camera", "batch_size", "split", "seed", "num_workers", "limit")
    return {name: getattr(module, name) for name in names}


def test_overrides_reach_the_parts(composed):
    own = ["data.source.path=x.npz", "data.source.group=source", "data.seed=4"]
    module = build(composed("data=npz", *own))
    assert module.source == Npz("x.npz", group="source") and module.seed == 4
    assert module.pose == Upright(), "the user's images come as they are"
    own = ["data.source.path=x", "data.source.skip_unreadable=true", "data.batch_size=32"]
    module = build(composed("data=folder", *own))
    assert module.source == Folder("x", skip_unreadable=True) and module.batch_size == 32
    module = build(composed("data=sprites", "data/pose=rotated", "data.pose.size=33"))
    assert module.source == Sprites() and module.pose == Rotated(33)
    module = build(composed("data=mnist", "data.source.root=../shared/data"))
    assert module.source.root == "../shared/data"
    module = build(composed("data/pose=limited", "data.pose.angles.max_angle=20.0"))
    assert module.pose.angles == LimitedAngles(20.0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.bath_size=3", "bath_size"),
        ("data.pose.sise=3", "sise"),
        ("data.source.pth=x", "pth"),
        ("data=mnist6k", "mnist6k"),
        ("data/pose=sideways", "sideways"),
        ("data/camera=pinhole", "pinhole"),
        ("data=_loading", "data.source must be given"),
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
    overrides = ["data=npz", f"data.source.path={tmp_path}/cells.npz", "data.source.group=source"]
    module = build(composed(*overrides, "data/pose=rotated", "data.pose.size=15"), path="data")
    module.setup()
    assert module.image_shape == (1, 15, 15)
    with pytest.raises(ValueError, match="path of the .npz archive is not set"):
        build(composed("data=npz"), path="data").setup()


SQUARES = '''
"""Squares of three sizes, one label each."""

from dataclasses import dataclass

import torch

from eqvae.data.images import ImageSet


@dataclass(frozen=True)
class Squares:
    num_images: int = 30

    def load(self):
        labels = torch.arange(self.num_images) % 3
        images = torch.zeros(self.num_images, 1, 12, 12)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[:, 3 : 6 + label, 3 : 6 + label] = 1
        return ImageSet(images, labels=labels)
'''
SQUARES_YAML = """
# Squares of three sizes.
defaults:
  - _loading
  - pose: rotated
  - _self_

source:
  _target_: eqvae.data.sources.squares.Squares
  num_images: 30
"""


def test_a_new_source_is_one_file_and_its_yaml(tmp_path, monkeypatch):
    """Nothing else is edited: no list of sources, no wrapper."""
    import eqvae.data.sources

    (tmp_path / "squares.py").write_text(SQUARES)
    monkeypatch.setattr(
        eqvae.data.sources, "__path__", [*eqvae.data.sources.__path__, str(tmp_path)]
    )
    configs = tmp_path / "configs"
    (configs / "data").mkdir(parents=True)
    for part in CONFIGS.iterdir():
        (configs / "data" / part.name).symlink_to(part)
    (configs / "data" / "squares.yaml").write_text(SQUARES_YAML)
    (configs / "alone.yaml").write_text("defaults:\n  - data: mnist5k\n  - _self_\n")
    own = ["data=squares", "data.source.num_images=20", "data.batch_size=5", "data/camera=light"]
    module = build(compose(own, configs, name="alone")["data"], path="data")
    module.setup()
    batch = next(iter(module.train_dataloader()))
    assert batch.image.shape == (5, 1, 12, 12) and set(batch.label.tolist()) <= {0, 1, 2}
    assert len(module.images) == 20
