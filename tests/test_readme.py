"""README.md and docs/ say what is true: commands work, keys exist, Python runs, links lead somewhere."""

import importlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from eqvae.cli.main import COMMANDS
from eqvae.cli.options import read_options
from eqvae.config import build, compose

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
LONGEST_README = 150
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
OPTIONS = (  # of other commands than train
    *("ckpt", "clusters", "preset", "suites", "out", "split", "wandb", "part", "entity", "seed"),
    *("table", "write", "where", "min_probability", "map", "most", "runtime", "rows"),
    *("receptor", "ligand", "how", "atoms", "states", "samples"),
)


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)
    return [block for kind, block in found if kind == language]


def commands(page: str) -> Iterator[list[str]]:
    for block in blocks(TEXTS[page], "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip():
                yield shlex.split(line, comments=True)


def scripted(script: str) -> list[list[str]]:
    """The arguments of every `python scripts/<script>.py` on any page, each once."""
    start = ["python", f"scripts/{script}.py"]
    found = [c[2:] for page in TEXTS for c in commands(page) if c[:2] == start]
    return [list(arguments) for arguments in dict.fromkeys(map(tuple, found))]


@cache
def composed(*choices: str) -> dict:
    """Pages name the same choices."""
    return compose(choices)


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= LONGEST_README


def test_the_two_commands_come_first():
    assert list(commands("README.md"))[:2] == [["make", "train"], ["make", "test"]]


def test_continuous_integration_runs_the_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0].endswith("bash") and "set -euo pipefail" in lines
    assert lines[-1] == "make test"


def test_every_make_target_named_exists():
    named = {command[1] for page in TEXTS for command in commands(page) if command[0] == "make"}
    named |= {target for text in TEXTS.values() for target in re.findall(r"`make (\w+)`", text)}
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
    expected = {
        "train": "python scripts/train.py",
        "test": "python -m pytest -n 2 --dist worksteal",
    }[target]
    assert last == f".venv/bin/{expected}"


@pytest.mark.parametrize("overrides", scripted("train"), ids=" ".join)
def test_every_training_command_composes(overrides):
    settings = [s for s in overrides if not s.startswith(("resume=", "--"))]
    sizes = {"domain=hexagonal": 51, "experiment=conformers": 9}  # pixels of its sensor, atoms
    size = next((sizes[s] for s in settings if s in sizes), 50)
    config = compose(settings, image_shape=(1, size, size))
    for part in ("model", "objective"):
        build(config[part], path=part)


@pytest.mark.parametrize("overrides", scripted("compare"), ids=" ".join)
def test_every_comparison_composes(overrides):
    compose(overrides, name="compare")


def test_what_the_chooser_is_asked_is_known():
    from eqvae.cli.advise import _options

    found = scripted("advise")
    assert found
    for arguments in found:
        compose(_options(arguments)[1])


def test_what_the_docking_command_is_asked_is_known():
    from eqvae.cli.dock import _options

    found = scripted("dock")
    assert found
    for arguments in found:
        _options(arguments)


@pytest.mark.parametrize("script", ["evaluate", "embed", "explore", "subset", "states"])
def test_the_options_of_every_other_command_are_known(script):
    own = importlib.import_module(f"eqvae.cli.{script}").OWN
    found = scripted(script)
    assert found
    for arguments in found:
        asked = read_options(arguments, own)
        compose(asked.overrides)


def test_every_script_and_command_named_exists():
    for page, text in TEXTS.items():
        for script in re.findall(r"scripts/(\w+)\.py", text):
            assert (ROOT / "scripts" / f"{script}.py").is_file(), (page, script)
        for command in re.findall(r"`eqvae (\w+)", text):
            assert command in COMMANDS, (page, command)


@pytest.mark.parametrize("page", [page for page in TEXTS if page != "docs/metrics.md"])
def test_every_choice_and_key_in_the_text_exists(page):
    """docs/metrics.md names arguments of functions, the others keys of configurations."""
    named = set(re.findall(r"`((?:[a-z]+[/.])*[a-z_]+=[\w.|,/]+)", TEXTS[page]))
    about = ["model=pose"] if page == "docs/pose.md" else []
    for setting in named:
        key, choices = setting.split("=", 1)
        if key in OPTIONS or re.match(
            r"hydra[./]launcher", key
        ):  # of packages that may not be installed
            continue
        of = {"passthrough": "cs", "side": "objects", "edge": "objects"}
        data = of.get(key.rsplit(".", 1)[-1], "npz")
        source = [f"data={data}"] if key.startswith("data.source.") else []
        for choice in choices.split("|"):
            mine = [a for a in about if not a.startswith(f"{key}=")]
            composed(*mine, *source, f"{key}={choice}")


@pytest.mark.parametrize("page", [page for page in TEXTS if blocks(TEXTS[page], "python")])
def test_python_examples_run(page, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in blocks(TEXTS[page], "python"):
        example = re.sub(r"runs/<[^\"]*", tiny_run.relative_to(tmp_path).as_posix(), example)
        names = {}
        exec(example.replace("50, 50", "33, 33"), names)
        assert torch.isfinite(names.get("moved", torch.zeros(1))).all()
        if "scores" in names:
            assert names["scores"]["angle_median"].value < 10


@pytest.mark.parametrize(
    "file", [*TEXTS, "CONVENTIONS.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"]
)
def test_links_lead_somewhere(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("http"):
            continue
        name, _, heading = link.partition("#")
        target = (ROOT / file).parent / name if name else ROOT / file
        assert target.exists(), f"{file} links to {link}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
            assert heading in {h.strip().lower().replace(" ", "-") for h in headings}, link


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
        if requirement.name == "eqvae":  # several of its own extras under one name
            assert requirement.extras <= set(extras)
            continue
        assert exact[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_changelog_has_this_version():
    version = re.search(r"^version = (.+)$", (ROOT / "setup.cfg").read_text(), flags=re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text()
    dated = re.search(r"^## \[(.+)\] - (\d{4}-\d\d-\d\d)$", changelog, flags=re.MULTILINE)
    assert dated and dated[1] == version[1]
