"""The command that measures claims: on two claims of the test's own."""

import dataclasses
import importlib.util
import json

import pytest

import eqvae.claims.claim as claims
from eqvae.claims.claim import Claim, Measured
from eqvae.cli import lens


def experiment(value: float):
    return lambda seed: Measured(
        value * (1 + seed), bound=1e-10, control=1.0, holds=True, others={"degrees": 2.0},
        draw=lambda axes: axes.plot([0, 1], [value, 1]),
    )  # fmt: skip


@pytest.fixture
def two(monkeypatch):
    rows = {
        id: Claim(id, "layers", f"title {id}", "It is told.", "It means.", "", experiment(value))
        for id, value in (("1", 1e-12), ("two/b", 1e-11))
    }
    monkeypatch.setattr(claims, "all_claims", lambda: rows)


def test_numbers_page_and_pictures_are_written_and_kept(two, tmp_path, capsys):
    lens.main([f"out={tmp_path}", "seeds=2"])
    first = json.loads((tmp_path / "lens.json").read_text())["rows"]
    assert [row["id"] for row in first] == ["1", "two/b"]
    assert first[0]["value"] == pytest.approx(1.5e-12) and first[0]["seeds"] == 2
    assert {"id", "claim", "value", "floor", "ceiling", "control", "condition"} <= set(first[0])
    assert {"verdict", "seconds", "command"} <= set(first[0])
    page = (tmp_path / "equivariance.md").read_text()
    assert "## Layers" in page and "![title two/b](equivariance/two_b.png)" in page
    assert (tmp_path / "equivariance" / "two_b.png").stat().st_size > 1000
    lens.main([f"out={tmp_path}", "seeds=1", "rows=[two/b]"])
    again = json.loads((tmp_path / "lens.json").read_text())["rows"]
    assert again[0] == first[0] and again[1]["seeds"] == 1
    assert "two/b" in capsys.readouterr().out


def test_rows_that_need_what_is_not_installed_are_left_out_with_a_sentence(
    two, tmp_path, capsys, monkeypatch
):
    rows = claims.all_claims()
    rows["44"] = dataclasses.replace(rows["1"], id="44", needs=("e3nn", "ase"))
    find = importlib.util.find_spec
    absent = {"e3nn", "ase"}
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n, *a: None if n in absent else find(n, *a)
    )
    lens.main([f"out={tmp_path}", "seeds=1"])
    sentence = 'Left out: 44 for want of e3nn, ase: pip install "eqvae[three,molecules]".'
    assert sentence in " ".join(capsys.readouterr().out.split())
    page = tmp_path / "equivariance.md"
    assert sentence in page.read_text() and "### 44" not in page.read_text()
    with pytest.raises(SystemExit):
        lens.main([f"out={tmp_path}", "rows=[44]"])
    assert "rows: 44 needs e3nn, ase: pip install" in capsys.readouterr().err
    absent.clear()
    rows["44"] = dataclasses.replace(rows["1"], id="44", needs=("torch",))
    lens.main([f"out={tmp_path}", "seeds=1", "rows=[44]"])
    assert "### 44" in page.read_text() and "Left out" not in page.read_text()
    with pytest.raises(ValueError, match="needs of a claim must be of e3nn, ase.*got 'jax'"):
        claims.claim("45", subject="", title="", told="", found="", needs="jax")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("rows=[99]", "rows must be ids out of 1, two/b; got '99'"),
        ("seeds=0", "seeds must be a whole number >= 1; got '0'"),
        ("row=1", "'row=1' is not an option"),
    ],
)
def test_wrong_arguments_get_a_sentence(two, argument, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        lens.main([f"out={tmp_path}", argument])
    assert sentence in capsys.readouterr().err
