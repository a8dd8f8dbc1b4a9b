"""README.md says what is true: its commands are the Makefile's, its keys exist, its Python runs."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

from eqvae.config import build, compose

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    if line.strip()
]
TRAIN = [command[2:] for command in COMMANDS if command[:2] == ["python", "scripts/train.py"]]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_the_two_commands_come_first():
    assert [command for command in COMMANDS if command][:2] == [["make", "train"], ["make", "test"]]


def test_continuous_integration_runs_the_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0].endswith("bash") and "set -euo pipefail" in lines
    assert lines[-1] == "make test"


def test_every_make_target_named_exists():
    named = {command[1] for command in COMMANDS if command[0] == "make"}
    named |= set(re.findall(r"`make (\w+)`", README))
    assert named and named <= TARGETS


@pytest.mark.parametrize("target", ["train", "test"])
def test_make_runs_what_the_readme_says(target):
    """With the environment in place, as after a first run, only the last command is left."""
    command = ["make", "--dry-run", "--assume-old=.venv/.installed", target]
    # the tests themselves run below make, whose flags would reach this one
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS")
    env = {name: value for name, value in os.environ.items() if name not in outer}
    made = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    shown = made.stdout
    last = shown.strip().splitlines()[-1].strip()
    expected = {"train": "python scripts/train.py", "test": "python -m pytest -n 2"}[target]
    assert last == f".venv/bin/{expected}"


@pytest.mark.parametrize("overrides", TRAIN, ids=" ".join)
def test_every_training_command_composes(overrides):
    settings = [s for s in overrides if not s.startswith(("resume=", "--"))]
    settings = [s.replace("<run>", "run") for s in settings]
    config = compose(settings, image_shape=(1, 50, 50))
    for part in ("model", "objective"):
        build(config[part], path=part)


def test_every_choice_and_key_in_the_text_exists():
    named = set(re.findall(r"`((?:[a-z]+[/.])*[a-z_]+=[\w.|,/]+)", README))
    assert named
    for setting in named:
        key, choices = setting.split("=", 1)
        if key in ("ckpt", "preset", "suites", "out"):  # of scripts/evaluate.py
            assert f"{key}=" in (ROOT / "scripts" / "evaluate.py").read_text()
        elif key == "wandb":  # of scripts/compare.py
            compose([setting], name="compare")
        else:
            for choice in choices.split("|"):
                compose([f"{key}={choice}"])


def test_python_examples_run(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = [block for language, block in BLOCKS if language == "python"]
    assert examples
    for example in examples:
        example = re.sub(r"runs/<[^\"]*", tiny_run.relative_to(tmp_path).as_posix(), example)
        names = {}
        exec(example.replace("50, 50", "33, 33"), names)
        assert torch.isfinite(names.get("moved", torch.zeros(1))).all()
        if "scores" in names:
            assert names["scores"]["angle_median"].value < 10


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "CONVENTIONS.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "docs/metrics.md",
        "docs/pose.md",
    ],
)
def test_links_lead_somewhere(file):
    text = (ROOT / file).read_text()
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
            assert link[1:] in {h.strip().lower().replace(" ", "-") for h in headings}, link
        elif not link.startswith("http"):
            assert (ROOT / link).exists(), f"{file} links to {link}"


def test_versions_agree():
    """Exact versions lie inside the bounds, for everything that eqvae asks for."""
    from configparser import ConfigParser

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    exact = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    wanted = "\n".join([setup["options"]["install_requires"], *extras.values()])
    requirements = [
        Requirement(line) for line in wanted.splitlines() if line and not line.startswith("#")
    ]
    assert len(requirements) > 15
    for requirement in requirements:
        assert exact[canonicalize_name(requirement.name)] in requirement.specifier
