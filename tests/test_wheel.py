"""An installed wheel, away from any checkout: the `eqvae` command, its configurations, its documentation."""

import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.shared import made_once

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("eqvae", "configs", "docs")
METADATA = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what `pip install` of the wheel would put into site-packages; built offline."""
    return made_once(tmp_path_factory, "wheel", _install) / "site-packages"


def _install(folder: Path) -> None:
    """setuptools is there, because torch asks for it."""
    source, built = folder / "source", folder / "built"
    built.mkdir()
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in METADATA:
        shutil.copy(ROOT / name, source)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(built)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site-packages")


@pytest.fixture
def python(tmp_path):
    """Run the interpreter in an empty folder, with nothing of this checkout in sight."""

    def run(site: Path, *arguments: str) -> subprocess.CompletedProcess:
        kept = {key: value for key, value in os.environ.items() if key != "EQVAE_DEBUG"}
        environment = {**kept, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    return run


def entry_point(site: Path) -> str:
    """What the `eqvae` script in the environment's bin/ does."""
    (file,) = site.glob("*.dist-info/entry_points.txt")
    metadata = ConfigParser()
    metadata.read(file)
    module, function = metadata["console_scripts"]["eqvae"].split(":")
    return f"import sys; sys.argv[0] = 'eqvae'; from {module} import {function}; {function}()"


def test_the_command_finds_its_parts(installed, python):
    done = python(installed, "-c", entry_point(installed), "--help")
    assert done.returncode == 0, done.stderr
    for command in ("train", "evaluate", "embed", "compare", "advise"):
        assert f"\n  {command} " in done.stdout
    done = python(installed, "-c", entry_point(installed), "train", "--help")
    assert done.returncode == 0, done.stderr
    for file in (ROOT / "configs").rglob("[!_]*.yaml"):
        assert file.parent == ROOT / "configs" or f"    {file.stem} " in done.stdout
    assert "eqvae train model=plain" in done.stdout and "scripts/" not in done.stdout


def test_configurations_and_documentation_come_along(installed, python):
    look = (
        "import eqvae; print(eqvae.__file__)\n"
        "from eqvae.config import compose; print(compose(['model=plain'])['model']['_target_'])\n"
        "from eqvae.resources import docs; print((docs() / 'metrics.md').is_file(), docs())\n"
    )
    done = python(installed, "-c", look)
    assert done.returncode == 0, done.stderr
    package, target, docs = done.stdout.splitlines()
    assert package == str(installed / "eqvae" / "__init__.py")
    assert target.startswith("eqvae.")
    assert docs == f"True {installed / 'eqvae' / '_resources' / 'docs'}"
    for name in ("configs", "docs"):
        files = {p.relative_to(ROOT / name) for p in (ROOT / name).rglob("*") if p.is_file()}
        inside = installed / "eqvae" / "_resources" / name
        assert {p.relative_to(inside) for p in inside.rglob("*") if p.is_file()} == files


def test_every_package_and_its_templates_come_along(installed):
    files = {p.relative_to(ROOT) for p in (ROOT / "eqvae").rglob("*") if p.is_file()}
    assert {p for p in files if p.suffix in (".py", ".j2", ".pt")} == {
        p.relative_to(installed)
        for p in (installed / "eqvae").rglob("*")
        if p.is_file() and p.suffix in (".py", ".j2", ".pt")
    }


@pytest.mark.slow
def test_it_trains(installed, python, tmp_path):
    """`python -m eqvae` is the command, too."""
    small = ["experiment=smoke", "logger=none", "trainer.fast_dev_run=true", "run_dir=run"]
    done = python(installed, "-m", "eqvae", "train", *small)
    assert done.returncode == 0, done.stderr


def test_without_its_configurations_it_says_so_in_a_sentence(installed, python, tmp_path):
    site = tmp_path / "site"
    shutil.copytree(installed, site, ignore=shutil.ignore_patterns("_resources", "__pycache__"))
    done = python(site, "-m", "eqvae", "train")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "install the eqvae wheel again" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = python(site, "-c", "from eqvae.config import compose; compose()")
    assert "FileNotFoundError: config_dir must hold train.yaml" in done.stderr.splitlines()[-1]
