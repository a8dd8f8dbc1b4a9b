"""Old keys are refused with the new name: on the command line, in Python, and in stored runs."""

import re

import pytest
from omegaconf import OmegaConf

from eqvae.cli.train import main
from eqvae.config import CONFIG_DIR, build, compose
from eqvae.renamed import RENAMED, check_overrides, check_stored
from eqvae.training.run import stored_config
from eqvae.training.runs import data_config

OLD_RUN = {
    "data": {
        "_target_": "eqvae.data.mnist5k",
        "pose": {"_target_": "eqvae.data.RotatedShifted", "size": 33},
        "batch_size": 32,
    },
    "seed": 0,
}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.path=x.npz", "data.path is now data.source.path: write data.source.path=x.npz."),
        ("+data.path=x.npz", "write data.source.path=x.npz."),
        (
            "data.sprite_seed=1",
            "data.sprite_seed is now data.source.seed: write data.source.seed=1.",
        ),
        ("data.pose.max_angle=9", "write data.pose.angles.max_angle=9."),
        ("data.pose.stretch=2", "data.pose.stretch is now data.camera.stretch"),
        ("data/pose=lit", "data/pose=lit is now data/camera=light: write data/camera=light."),
        ("~data.mask", "data.mask is now data.source.mask: write data.source.mask."),
        (
            "data.views.0=[0,1]",
            "data.views is now data.source.views: write data.source.views.0=[0,1].",
        ),
    ],
)
def test_an_old_key_is_refused_with_the_new_one(override, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_overrides(["seed=1", override])
    with pytest.raises(ValueError, match=re.escape(message)):
        compose([override])


def test_new_keys_flags_and_other_values_pass():
    check_overrides(
        ["-m", "--cfg", "job", "data.source.path=data.path=x", "data/pose=upright", "data.seed=1"]
    )
    check_overrides(["data.pose.size=33", "data.pose.seed=1", "data.limit=5", "data=npz"])
    check_overrides([new for new in RENAMED.values() if "=" in new])


def test_new_names_are_names():
    """Every new key is one that some choice of configs/ has, and no new one is an old one."""
    parts = {
        group: sorted(file.stem for file in (CONFIG_DIR / group).glob("[!_]*.yaml"))
        for group in ("model", "objective", "data", "data/pose", "data/camera")
    }
    parts["data"] = [
        d for d in parts["data"] if d not in ("adk", "chains", "conformers", "structures")
    ]  # no camera
    rows = range(max(map(len, parts.values())))  # of a table that shows every choice once
    known = [
        OmegaConf.create(compose([f"{g}={names[row % len(names)]}" for g, names in parts.items()]))
        for row in rows
    ]
    for old, new in RENAMED.items():
        assert new not in RENAMED, old
        if "=" in new:
            assert compose([new])
        elif (CONFIG_DIR / old).is_dir() or (CONFIG_DIR / new).is_dir():  # a part with choices
            assert (CONFIG_DIR / new).is_dir() and not (CONFIG_DIR / old).is_dir()
        else:
            assert any(OmegaConf.select(k, new, default="none") != "none" for k in known), new
            assert all(OmegaConf.select(k, old, default="none") == "none" for k in known), old


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"num_images": 100}, "data.num_images is now data.source.num_images"),
        ({"shapes": ["flag"]}, "data.shapes is now data.source.shapes"),
        ({"pose": {"classes": [6]}}, "data.pose.classes is now data.pose.angles.classes"),
        ({"_target_": "eqvae.data.mnist5k", "seed": 1}, "eqvae.data.mnist5k is gone"),
    ],
)
def test_a_stored_configuration_of_an_older_version_says_so(data, what):
    message = f"runs/a/config.yaml was written by an older eqvae: {what}"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_stored({"seed": 0, "data": data, "callbacks": [1]}, "runs/a/config.yaml")
    check_stored(compose(["experiment=smoke"]), "here")


@pytest.fixture
def old_run(tmp_path):
    (tmp_path / "old" / "checkpoints").mkdir(parents=True)
    (tmp_path / "old" / "checkpoints" / "last.ckpt").touch()
    OmegaConf.save(OmegaConf.create(OLD_RUN), tmp_path / "old" / "config.yaml")
    return tmp_path / "old"


def test_an_old_run_can_neither_continue_nor_lend_its_data(old_run):
    for read in (stored_config, data_config):
        with pytest.raises(
            ValueError, match="config.yaml was written by an older eqvae: eqvae.data"
        ):
            read(old_run)
    other = data_config(old_run, ["data=sprites"])
    assert build(other).source.num_images == 5000, "other data may be given"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data=npz", "data.path=x.npz"], "error: data.path is now data.source.path: write data.s"),
        (["resume={run}"], "written by an older eqvae"),
    ],
)
def test_the_command_says_it_in_one_sentence(old_run, arguments, said, monkeypatch, capsys):
    monkeypatch.chdir(old_run)
    with pytest.raises(SystemExit) as stop:
        main([argument.format(run=old_run) for argument in arguments])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert said in told and len(told.strip().splitlines()) == 1
