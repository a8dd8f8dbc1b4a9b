"""`eqvae generate` as a user meets it: help, options, mistakes in one sentence, and what it writes."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from eqvae.cli.generate import OWN, main
from eqvae.config import CONFIG_DIR
from eqvae.training.checkpoint import load_vae, read_checkpoint

SCRIPT = CONFIG_DIR.parent / "scripts" / "generate.py"


def run(*arguments: object) -> None:
    """The command within this process: importing torch anew takes most of its time."""
    main([str(argument) for argument in arguments])


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "samples.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def without_prior(tiny_run):
    """The run as `prior=normal` leaves it."""
    import torch

    for path in (tiny_run / "checkpoints").iterdir():
        checkpoint = read_checkpoint(path)
        checkpoint.pop("prior", None)
        torch.save(checkpoint, path)
    return tiny_run


def test_help_names_every_option_and_answers_without_torch():
    code = f"import runpy, sys; sys.argv = ['generate.py', '--help']; runpy.run_path({str(SCRIPT)!r}, None, "
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("ckpt", *OWN):
        assert f"  {option}=" in done.stdout
    assert "scripts/fit_prior.py fits one later" in done.stdout


def test_everything_is_written_beside_the_run_and_named(tiny_run, capsys):
    run(f"ckpt={tiny_run}", "n=5", "walk=0,2")
    out = tiny_run / "generated"
    files = {"samples.csv", "samples.npz", "samples.png", "samples.tiff", "images", "config.yaml"}
    assert {f.name for f in out.iterdir()} == files | {"gallery.png", "walk.png", "walk.gif"}
    said = capsys.readouterr().out.replace("\n", "")
    for name in files - {"config.yaml"}:
        assert str(out / name) in said
    with np.load(out / "samples.npz") as arrays:
        assert arrays["images"].shape == (5, 1, 33, 33)
        latents = arrays["latents"]
    assert latents.shape == (5, load_vae(tiny_run).representation.dim)
    assert len(table(out)) == 5
    with Image.open(out / "walk.gif") as gif:
        assert gif.n_frames > 20
    config = OmegaConf.load(out / "config.yaml")
    assert config.ckpt == str(tiny_run) and config.n == 5 and list(config.walk) == [0, 2]


def test_the_gallery_shows_groups_of_components(tiny_run, tmp_path):
    run(f"ckpt={tiny_run}", "n=1", "groups=1", "format=png", f"out={tmp_path}")
    assert (tmp_path / "gallery.png").exists()
    assert OmegaConf.load(tmp_path / "config.yaml").groups == 1


def test_options_reach_the_draws(tiny_run, tmp_path):
    ask = (f"ckpt={tiny_run}", "n=6", "angle=-90", "shift=2,-1", "temperature=0.5", "seed=3")
    run(*ask, "clusters=0", "format=npz", f"out={tmp_path / 'a'}")
    assert {f.name for f in (tmp_path / "a").iterdir()} == {
        *("samples.csv", "samples.npz", "config.yaml")
    }
    for row in table(tmp_path / "a"):
        assert row["component"] == "0" and row["temperature"] == "0.5"
        place = [float(row[name]) for name in ("angle_degrees", "x_pixels", "y_pixels")]
        assert place == [270, 2, -1]
    run(*ask, "format=tiff", "pixels=uint8", f"out={tmp_path / 'b'}")
    with Image.open(tmp_path / "b" / "samples.tiff") as pages:
        assert (pages.n_frames, pages.mode, pages.size) == (6, "L", (33, 33))
    run(*ask, "format=npz", f"out={tmp_path / 'c'}")
    first, second = (np.load(tmp_path / name / "samples.npz")["images"] for name in "ac")
    np.testing.assert_array_equal(first, second)  # a prior of few images has one component


def test_walks_choose_among_the_data_asked_for(tiny_run, tmp_path):
    ask = (f"ckpt={tiny_run}", "n=1", "format=npz", "walk=1,0")
    run(*ask, f"out={tmp_path / 'a'}")
    run(*ask, "data/pose=upright", f"out={tmp_path / 'b'}")
    pictures = [(tmp_path / name / "walk.png").read_bytes() for name in "ab"]
    assert pictures[0] != pictures[1]


def test_a_model_without_a_fitted_prior_gives_plain_samples(without_prior, tmp_path):
    run(f"ckpt={without_prior}", "n=3", f"out={tmp_path}")
    assert not (tmp_path / "gallery.png").exists()
    assert {row["component"] for row in table(tmp_path)} == {""}


@pytest.mark.parametrize("ask", ["clusters=0", "groups=1", "angle=30", "temperature=0.5"])
def test_what_needs_a_fitted_prior_says_how_to_get_one(without_prior, capsys, ask):
    refused(capsys, "needs .*fitted prior.*scripts/fit_prior.py", f"ckpt={without_prior}", ask)
    assert not (without_prior / "generated").exists()


def refused(capsys, message: str, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert re.search(message, said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ckpt={run}", "n=0"], "n must be a whole number >= 1; got '0'"),
        (["ckpt={run}", "n=many"], "n must be a whole number >= 1; got 'many'"),
        (["ckpt={run}", "clusters=99"], "components of the fitted prior, from 0 to 0; got 99"),
        (["ckpt={run}", "clusters=a"], "clusters must be numbers of components, .*; got 'a'"),
        (["ckpt={run}", "clusters="], "clusters must be numbers of components, .*; got ''"),
        (["ckpt={run}", "groups=0"], "groups must be a whole number >= 1; got '0'"),
        (["ckpt={run}", "groups=2"], "groups must be at most the 1 components .*; got 2"),
        (["ckpt={run}", "groups=1", "clusters=0"], "groups and clusters exclude each other"),
        (["ckpt={run}", "temperature=-1"], "temperature must be a number of at least 0; got -1"),
        (["ckpt={run}", "temperature=hot"], "temperature must be a number .*; got 'hot'"),
        (["ckpt={run}", "angle=up"], "angle must be a number of degrees; got 'up'"),
        (["ckpt={run}", "angle=nan"], "angle must be a number of degrees; got 'nan'"),
        (["ckpt={run}", "shift=3"], "shift must be two numbers of pixels x,y.*; got '3'"),
        (
            ["ckpt={run}", "shift=90,0"],
            "shift must keep .* up to 16.5 pixels either way; got 90, 0",
        ),
        (["ckpt={run}", "seed=-3"], "seed must be a whole number >= 0; got '-3'"),
        (["ckpt={run}", f"seed={2**70}"], "seed must be a whole number from 0 to"),
        (["ckpt={run}", "walk=1"], "walk must be two numbers of test images.*; got '1'"),
        (["ckpt={run}", "walk=0,12"], "walk must name two of the 12 test images, from 0 to 11"),
        (["ckpt={run}", "format=gif"], "format must be words out of npz, png, tiff.*; got 'gif'"),
        (["ckpt={run}", "pixels=int"], "pixels must be one of float32, uint8; got 'int'"),
        (["ckpt={run}", "cluster=3"], "'cluster=3' is not an option"),
        (["ckpt={run}", "data=sprites"], "data keys choose the test images of walk=I,J"),
        (["n=3"], "ckpt must name one run folder or checkpoint"),
        (["ckpt={run}/nowhere"], "nowhere does not exist"),
        (["ckpt={run}/metrics.json"], "can't be read as a checkpoint"),
        (["ckpt={run}", "out={run}/metrics.json"], "metrics.json"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence_and_exit_code_2(tiny_run, capsys, arguments, message):
    refused(capsys, message, *(argument.format(run=tiny_run) for argument in arguments))
    assert not (tiny_run / "generated").exists()


def test_stopping_is_one_sentence(tiny_run, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("eqvae.explore.generation.generate", stopped)
    with pytest.raises(SystemExit) as stop:
        run(f"ckpt={tiny_run}")
    assert stop.value.code == 130 and "may be incomplete" in capsys.readouterr().err
