"""Rooms import downwards only, and no room in a circle: the contracts in setup.cfg, with two controls."""

from configparser import ConfigParser
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def lint(monkeypatch):
    """Whether import-linter keeps the contracts of a file; what it found is printed."""
    monkeypatch.chdir(ROOT)

    def kept(config: Path) -> bool:
        return lint_imports(config_filename=str(config), no_cache=True, no_logo=True) == 0

    return kept


def test_rooms_import_downwards_and_in_no_circle(lint):
    assert lint(ROOT / "setup.cfg")


def test_the_contract_would_notice(lint, tmp_path, capsys):
    """A control: upside down, nearly every room imports upwards."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    rooms = setup["importlinter:contract:rooms"]
    rooms["layers"] = "\n".join(reversed(rooms["layers"].split("\n")))
    file = tmp_path / "upside_down.cfg"
    with file.open("w") as text:
        setup.write(text)
    assert not lint(file)
    said = capsys.readouterr().out
    assert "eqvae.models is not allowed to import eqvae.symmetry" in said


def test_a_room_that_the_contract_does_not_name_is_noticed(lint, tmp_path, capsys):
    """Another control."""
    file = tmp_path / "forgetful.cfg"
    file.write_text((ROOT / "setup.cfg").read_text().replace("\n    drawing\n", "\n"))
    assert not lint(file)
    assert "drawing" in capsys.readouterr().out
