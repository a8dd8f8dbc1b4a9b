"""The command that measures claims: on two claims of the test's own."""

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
