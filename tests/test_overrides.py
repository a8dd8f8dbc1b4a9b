"""KEY=VALUE means what was typed: paths and names of every kind reach the configuration as they are."""

import inspect
import os
from pathlib import Path

import pytest

from eqvae.config import compose
from eqvae.data import sources
from eqvae.overrides import NAMES, PATHS, as_typed, values

ODD = [
    *("a b", "lr=0.1", "a,b", "a[1]", "[a]", "a(1)", "{x}", "größe", "日本", "a:b", "#x", "50%"),
    *(
        "2026",
        "2026-01-31",
        "007",
        "1e5",
        "true",
        "nan",
        "a;b",
        "a&b",
        "?*!",
        "$HOME",
        "<b>",
        "a|b",
    ),
    *("it's", 'say "x"', "back\\slash", "end\\", "a\\'b", "'a", "a'", " lead", "x\ny", "{a: 1}"),
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("key", ["name", "run_dir", "data.source.path", "data.source.label"])
def test_paths_and_names_are_taken_as_typed(key, text):
    assert values([f"{key}={text}"]) == {key: text}


@pytest.mark.parametrize("text", ODD)
def test_what_is_written_once_can_be_written_again(text):
    """Lightning and the launcher of a comparison start processes with the written words."""
    written = as_typed([f"name={text}"])
    assert as_typed(written) == written


def test_they_reach_the_configuration():
    given = {"name": "lr=0.1, größe", "run_dir": "2026", "data.source.path": "a[1], (b).npz"}
    config = compose(["data=npz", *(f"{key}={text}" for key, text in given.items())])
    assert (config["name"], config["run_dir"]) == ("lr=0.1, größe", "2026")
    assert config["data"]["source"]["path"] == "a[1], (b).npz"


def test_a_home_folder_is_found():
    assert values(["run_dir=~/runs/a b"]) == {"run_dir": os.path.expanduser("~/runs/a b")}
    assert values(["name=~a"]) == {"name": "~a"}


def test_other_values_keep_hydra_s_grammar():
    read = values(["a=3", "b=[1,2]", "c=null", "d={e: 1}", "f=1e-3", "name=null", "name.x='y z'"])
    assert read == {
        "a": 3, "b": [1, 2], "c": None, "d": {"e": 1}, "f": 0.001, "name": None, "name.x": "y z",
    }  # fmt: skip
    flags = ["--cfg", "job", "~callbacks.pictures", "+trainer.max_steps=3", "-m"]
    assert as_typed(flags) == flags


def test_in_a_sweep_commas_separate_unless_the_path_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a,b.npz").touch()
    sweep = ["-m", "name=a=1,b=2", "data.source.path=a,b.npz", "seed=1,2"]
    assert as_typed(sweep) == ["-m", "name='a=1','b=2'", "data.source.path='a,b.npz'", "seed=1,2"]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("seed=1,2", "seed must have one value; got '1,2'. With -m"),
        ("seed=range(3)", "seed must have one value"),
        ("plain", "'plain' is no key: give KEY=VALUE"),
        ("my file=3", "'my file' is no key"),
        ("größe=3", "'größe' is no key"),
        ("=3", "is no key"),
        ("run_dir=", "run_dir must be a path; got nothing"),
    ],
)
def test_mistakes_are_said_in_our_words(argument, said):
    with pytest.raises(ValueError) as error:
        as_typed([argument])
    assert said in str(error.value)
    assert not any(word in str(error.value) for word in ("mismatched", "expecting", "no viable"))


@pytest.mark.parametrize("argument", ["~name", "name"])
def test_only_values_have_values(argument):
    with pytest.raises(ValueError, match="KEY=VALUE"):
        values([argument])


def test_every_text_that_a_source_takes_is_known():
    """A source's new path or name belongs into `PATHS` or `NAMES`, or a comma in it would sweep."""
    closed = {"data.source.background", "data.source.edge"}  # one of a few words
    known = (getattr(sources, name) for name in sources.__all__)
    for source in (found for found in known if hasattr(found, "load")):
        for name, parameter in inspect.signature(source).parameters.items():
            text = str(parameter.annotation).replace("'", "").split(" | ")[0]
            if text in ("str", "<class str>", "Path", "pathlib.Path"):
                assert f"data.source.{name}" in {*PATHS, *NAMES, *closed}, f"{source}.{name}"


def test_a_key_is_text_in_every_source_or_in_none():
    """Else a number of one source would be taken for a name."""
    for source in (getattr(sources, name) for name in sources.__all__):
        if not hasattr(source, "load"):
            continue
        for name, parameter in inspect.signature(source).parameters.items():
            if f"data.source.{name}" in {*PATHS, *NAMES}:
                assert "str" in str(parameter.annotation), f"{source}.{name}"
