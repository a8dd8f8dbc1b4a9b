"""`eqvae evaluate` as a user meets it: help, options, mistakes in one sentence, and what it writes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf

from eqvae.cli.evaluate import _named, main
from eqvae.config import CONFIG_DIR
from eqvae.training.runs import run_name

SCRIPT = CONFIG_DIR.parent / "scripts" / "evaluate.py"


def evaluate(*arguments: object) -> None:
    """The command within this process: importing torch anew takes most of its time."""
    main([str(argument) for argument in arguments])


def test_help_names_every_option(capsys):
    for arguments in ([], ["--help"], ["-h"]):
        evaluate(*arguments)
        said = capsys.readouterr().out
        for option in ("ckpt=", "data=", "preset=", "suites=", "seed=", "out=", "wandb="):
            assert option in said


def test_help_answers_without_torch():
    code = f"import runpy, sys; sys.argv = ['evaluate.py', '-h']; runpy.run_path({str(SCRIPT)!r}, None, "
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "scripts/evaluate.py ckpt=" in done.stdout


QUICK = "suites=likelihood"


def test_results_are_written_beside_the_run(tiny_run, capsys):
    trained = (tiny_run / "metrics.json").read_text()
    evaluate(f"ckpt={tiny_run}", "suites=likelihood,pose,clustering")
    out = tiny_run / "evaluation"
    assert {p.name for p in out.iterdir()} == {
        *("metrics.json", "metrics.csv", "config.yaml", "pictures", "report.html")
    }
    scores = json.loads((out / "metrics.json").read_text())
    expected = {"likelihood/elbo", "likelihood/kl/psi1", "pose/consistency/shift_median"}
    assert expected <= set(scores)
    assert {"value", "floor", "ceiling", "interval", "n", "better"} <= set(
        scores["likelihood/elbo"]
    )
    assert (out / "pictures" / "likelihood_kl_by_irrep_block.png").is_file()
    assert (tiny_run / "metrics.json").read_text() == trained
    config = OmegaConf.load(out / "config.yaml")
    assert config.ckpt == str(tiny_run) and config.preset == "fast"
    assert config.data == OmegaConf.load(tiny_run / "config.yaml").data
    said = capsys.readouterr()
    assert "ELBO" in said.out and "report.html" in said.out
    assert "first: pose, " in said.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "eqvae report: first" in page and 'id="likelihood"' in page


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/small", "runs/large"], ["small", "large"]),
        (["runs/a/2026-01-31_12-00-00"], ["a"]),
        (
            ["runs/a/2026-01-31_12-00-00", "runs/a/2026-01-31_12-00-00-2", "runs/b"],
            ["a-2026-01-31_12-00-00", "a-2026-01-31_12-00-00-2", "b"],
        ),
        (["x/run", "y/run", "z"], ["run-1", "run-2", "z"]),
    ],
)
def test_runs_are_told_apart_by_their_own_folders(folders, names):
    subjects = [SimpleNamespace(name=run_name(Path(f)), folder=Path(f)) for f in folders]
    assert [subject.name for subject in _named(subjects)] == names


def test_several_runs_share_one_report(tiny_run, tmp_path):
    last = tiny_run / "checkpoints" / "last.ckpt"
    suites = "suites=likelihood,disentanglement"
    evaluate(f"ckpt={tiny_run}", f"ckpt={last}", suites, f"out={tmp_path / 'both'}")
    for name in ("first-1", "first-2"):
        assert (tmp_path / "both" / name / "metrics.json").is_file()
    page = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "2 runs side by side" in page and "<th>first-2</th>" in page
    table = (tmp_path / "both" / "metrics.csv").read_text().splitlines()
    assert sum(line.startswith("first-2,likelihood/elbo,") for line in table) == 1
    assert any(line.startswith("first-1,agreement/agreement,") for line in table)


def test_other_poses_data_and_folders(tiny_run, tmp_path):
    checkpoint = tiny_run / "checkpoints" / "last.ckpt"
    evaluate(f"ckpt={checkpoint}", "data/pose=upright", QUICK, f"out={tmp_path / 'a'}")
    pose = OmegaConf.load(tmp_path / "a" / "config.yaml").data.pose
    assert pose._target_ == "eqvae.data.Upright" and pose["size"] == 33  # the run's own size
    other = [
        "data=sprites",
        "data.source.num_images=60",
        "data.source.size=21",
        "data.source.radius=[4.0,6.0]",
    ]
    other += ["data.pose.size=33"]
    evaluate(f"ckpt={tiny_run}", *other, QUICK, f"out={tmp_path / 'b'}")
    assert OmegaConf.load(tmp_path / "b" / "config.yaml").data.source.num_images == 60
    evaluate(f"ckpt={tiny_run}", "data.source.num_images=60", QUICK, f"out={tmp_path / 'c'}")
    read = [json.loads((tmp_path / n / "metrics.json").read_text()) for n in "abc"]
    a, b, c = (scores["likelihood/elbo"]["value"] for scores in read)
    assert a != b != c
    assert not (tiny_run / "evaluation").exists()


def test_numbers_go_to_the_runs_own_weights_and_biases_run(tiny_run, monkeypatch):
    import wandb

    (tiny_run / "wandb").mkdir(exist_ok=True)
    (tiny_run / "wandb" / "run_id").write_text("abcd1234")
    config = OmegaConf.load(tiny_run / "config.yaml")
    config.logger.mode = "offline"
    OmegaConf.save(config, tiny_run / "config.yaml")
    summaries, init = {}, wandb.init

    def recorded(**how):
        run = init(**how)
        finish = run.finish
        run.finish = lambda: summaries.update({run.id: dict(run.summary)}) or finish()
        return run

    monkeypatch.setattr(wandb, "init", recorded)
    evaluate(f"ckpt={tiny_run}", "suites=clustering", "wandb=false")
    assert not summaries
    evaluate(f"ckpt={tiny_run}", "suites=clustering")
    assert list(summaries) == ["abcd1234"]
    logged = summaries["abcd1234"]["test/clustering/gaussian_mixture/accuracy"]
    stored = json.loads((tiny_run / "evaluation" / "metrics.json").read_text())
    assert logged == stored["clustering/gaussian_mixture/accuracy"]["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["ckpt={run}", "nun_images=3"],
            "'nun_images=3' is not an option: give KEY=VALUE with ckpt",
        ),
        (["ckpt={run}", "fast"], "'fast' is not an option"),
        (["seed=3"], "ckpt must name at least one run folder or checkpoint.*got 0"),
        (
            ["ckpt={run}/nowhere"],
            "path must be a checkpoint or a run folder; .*nowhere does not exist",
        ),
        (["ckpt={run}/pictures"], "holds no .ckpt"),
        (["ckpt={run}/metrics.json"], "metrics.json can't be read as a checkpoint"),
        (["ckpt={run}", "preset=slow"], "preset must be one of fast, full, dlib; got 'slow'"),
        (["ckpt={run}", "suites=pose,speed"], "suites must be names out of .*; got 'speed'"),
        (["ckpt={run}", "wandb=maybe"], "wandb must be one of true, false; got 'maybe'"),
        (["ckpt={run}", "seed=-1"], "seed must be a whole number >= 0; got '-1'"),
        (
            ["ckpt={run}", "data.pose.size=41"],
            "data must be images .* 33 px; got 1 of 41 px. Set data",
        ),
        (
            ["ckpt={run}", "data.source.num_images=60", "data=sprites"],
            r"data must be images .* 33 px; got 1 of 50 px",
        ),
        (
            ["ckpt={run}", "data.source.num_image=41"],
            "data.source.num_image is not in the run's data; it has",
        ),
        (["ckpt={run}", "data.pose.angle=41"], "data.pose.angle is not in the run's data"),
        (["ckpt={run}", "data=nowhere"], "nowhere"),
        (["ckpt={run}", "data/pose=sideways"], "sideways"),
        (["ckpt={run}", "data=npz", "data.source.path=nowhere.npz"], "nowhere.npz"),
        (["ckpt={run}", "data.batch_size=many"], "data.batch_size must be int"),
        (["ckpt={run}", "out={run}/metrics.json"], "metrics.json"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence_and_exit_code_2(tiny_run, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        evaluate(*(argument.format(run=tiny_run) for argument in arguments))
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1 or "data=" in arguments[-1]  # Hydra lists the choices
    assert re.search(message, said)
    assert not (tiny_run / "evaluation").exists()


def test_a_checkpoint_without_its_folder_needs_data(tiny_run, tmp_path, capsys):
    file = shutil.copy(tiny_run / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    with pytest.raises(SystemExit):
        evaluate(f"ckpt={file}")
    assert (
        "holds no config.yaml; say which data to use, as in data=mnist5k" in capsys.readouterr().err
    )


def test_images_with_other_channels_are_refused(tiny_run, tmp_path, capsys):
    rgb = np.random.default_rng(0).random((20, 33, 33, 3), dtype=np.float32)
    np.savez(tmp_path / "rgb.npz", images=rgb)
    with pytest.raises(SystemExit):
        evaluate(f"ckpt={tiny_run}", "data=npz", f"data.source.path={tmp_path / 'rgb.npz'}")
    assert "1 channel(s) of 33 px; got 3 of 33 px" in capsys.readouterr().err


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("EQVAE_DEBUG", "1")
    with pytest.raises(ValueError, match="is not an option"):
        evaluate("fast")


def test_it_runs_as_a_command(tiny_run, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(CONFIG_DIR.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), f"ckpt={tiny_run}", "preset=slow"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == "error: preset must be one of fast, full, dlib; got 'slow'.\n"
    assert not list(Path(tmp_path).glob("*.json"))
