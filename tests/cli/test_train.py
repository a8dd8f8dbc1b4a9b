"""scripts/train.py as a user meets it: help, mistakes, Ctrl-C, and the command that continues."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eqvae.config import CONFIG_DIR
from eqvae.training.checkpoint import read_checkpoint
from tests.training.runs import NO_PICTURES, TINY

ROOT = CONFIG_DIR.parent
COMMAND = [sys.executable, str(ROOT / "scripts" / "train.py")]


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "EQVAE_DEBUG")}
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **extra}


def script(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_answers_at_once_and_names_every_choice(tmp_path: Path) -> None:
    began = time.monotonic()
    done = script("--help", cwd=tmp_path)
    assert time.monotonic() - began < 2  # importing torch alone takes longer
    assert done.returncode == 0
    for file in CONFIG_DIR.glob("*/*.yaml"):
        assert file.stem in done.stdout
    assert "python scripts/train.py model=plain" in done.stdout


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("trainer.max_epoch=3", "max_epoch"),
        ("modle=plain", "modle"),
        ("model=plainn", "plainn"),
    ],
)
def test_a_misspelt_key_or_choice_is_named(override: str, named: str, tmp_path: Path) -> None:
    done = script(override, cwd=tmp_path)
    assert done.returncode != 0
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = script(*TINY, "+model.encoder.widht=3", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: model.encoder.widht is not an argument of")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("runs/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_the_command_that_resumes(
    signum: int, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    how = [*TINY, NO_PICTURES, "trainer.max_epochs=100000", f"run_dir={folder}"]
    process = subprocess.Popen(
        [*COMMAND, *how], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while not (folder / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signum)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signum
    assert "Traceback" not in said
    reached = read_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"]
    assert reached > 0
    command = shlex.split(said.strip().splitlines()[-1])
    assert command == ["python", "scripts/train.py", f"resume={folder}"]
    if signum == signal.SIGTERM:
        done = script(command[-1], f"trainer.max_epochs={reached // 4 + 2}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (folder / "metrics.json").is_file()
        assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] > reached
        refused = script(command[-1], "model=harmonic", cwd=tmp_path)
        assert refused.returncode == 2
        assert "model can't change when a run is resumed" in refused.stderr
