"""Errors of the user's: one sentence on standard error, exit code 2; everything else stays loud."""

import io
import sys

import pytest
from omegaconf import OmegaConf
from rich.table import Table

from eqvae.cli.console import (
    USER_ERROR,
    arguments_or_help,
    never_fail_to_print,
    one_sentence_errors,
    printer,
    spelled,
)


@pytest.mark.parametrize("kind", [ValueError, TypeError, FileNotFoundError, ImportError])
def test_mistakes_end_with_a_sentence(kind, capsys):
    with pytest.raises(SystemExit) as stop, one_sentence_errors():
        raise kind("size must be 3; got 4.")
    assert stop.value.code == USER_ERROR == 2
    assert capsys.readouterr().err == "error: size must be 3; got 4.\n"


def test_a_broken_configuration_is_a_mistake(capsys):
    with pytest.raises(SystemExit), one_sentence_errors():
        OmegaConf.to_container(OmegaConf.create({"a": "${b}"}), resolve=True)
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, KeyError, KeyboardInterrupt])
def test_faults_of_ours_keep_their_traceback(kind):
    with pytest.raises(kind), one_sentence_errors():
        raise kind("bug")


def test_debugging_shows_the_traceback_of_mistakes(monkeypatch):
    monkeypatch.setenv("EQVAE_DEBUG", "1")
    with pytest.raises(ValueError, match="size"), one_sentence_errors():
        raise ValueError("size")


def test_help_is_printed_as_the_user_calls_the_commands(capsys, monkeypatch):
    usage = "Usage: {embed} KEY={a: 1}; after {train}"
    monkeypatch.setattr(sys, "argv", ["scripts/embed.py"])
    for given in ([], ["-h"], ["a=1", "--help"], None):
        assert arguments_or_help(given, usage) is None
        told = "Usage: python scripts/embed.py KEY={a: 1}; after python scripts/train.py\n"
        assert capsys.readouterr().out == told
    assert arguments_or_help(("a=1",), usage) == ["a=1"]
    assert arguments_or_help([], usage, alone=True) == []
    monkeypatch.setattr(sys, "argv", ["scripts/embed.py", "b=2"])
    assert arguments_or_help(None, usage) == ["b=2"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text", ["eval[final]", "old[", "a[/b]", ":smile: [red]x[/red]", "x " * 99]
)
def test_texts_of_the_user_are_printed_as_they_are(text, capsys):
    table = Table()
    table.add_column(text, no_wrap=True)
    printer().print(text)
    printer().print(table)
    assert text in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_a_letter_stops_nothing(encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    never_fail_to_print()
    table = Table()
    table.add_column("12°, größe, 日本 ± σ")
    printer().print(table)
    stream.flush()
    assert b"12" in stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("called", "printed"),
    [
        ("scripts/train.py", "python scripts/embed.py"),
        ("/a b/scripts/train.py", "python '/a b/scripts/embed.py'"),
        ("/usr/bin/eqvae", "eqvae embed"),
        ("/site/eqvae/__main__.py", "python -m eqvae embed"),
    ],
)
def test_commands_are_spelled_as_they_were_called(called, printed, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert spelled("embed") == printed
