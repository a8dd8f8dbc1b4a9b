"""The `eqvae` command: every script is one of its commands, and it hands on the rest of the line."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import eqvae
from eqvae.cli.console import spelled
from eqvae.cli.main import COMMANDS, main

SCRIPTS = sorted((Path(__file__).resolve().parents[2] / "scripts").glob("*.py"))


def test_every_script_is_a_command():
    assert {file.stem for file in SCRIPTS} == set(COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_names_every_command(arguments, capsys):
    main(arguments)
    said = capsys.readouterr().out
    for command, about in COMMANDS.items():
        assert f"  {command} " in said and about in said


def test_the_rest_of_the_line_goes_to_the_command(monkeypatch):
    seen = []
    for name in COMMANDS:
        command = SimpleNamespace(main=lambda rest, name=name: seen.append((name, rest)))
        monkeypatch.setitem(sys.modules, f"eqvae.cli.{name}", command)
    main(["train", "model=plain", "-m"])
    monkeypatch.setattr(sys, "argv", ["eqvae", "embed", "ckpt=here"])
    main()
    assert seen == [("train", ["model=plain", "-m"]), ("embed", ["ckpt=here"])]


def test_an_unknown_command_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["trian"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: 'trian' is not a command of eqvae: train,")


def test_the_version_is_said(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"eqvae {eqvae.__version__}\n"


@pytest.mark.parametrize(
    ("called", "command"),
    [
        ("scripts/train.py", "python scripts/train.py"),
        ("/opt/venv/bin/eqvae", "eqvae train"),
        ("/opt/venv/lib/eqvae/__main__.py", "python -m eqvae train"),
        ("/opt/venv/lib/eqvae/cli/train.py", "eqvae train"),
        ("/home/me/eqvae/scripts/embed.py", "python /home/me/eqvae/scripts/train.py"),
    ],
)
def test_commands_are_spelled_as_the_user_called_them(called, command, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert spelled("train") == command
