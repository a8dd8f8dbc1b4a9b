"""The command `advise`: it trains pilots and tells, and mistakes are one sentence."""

import json

import pytest

from eqvae.cli.advise import main

SMALL = [
    "data=sprites", "scenario=upright", "data.source.num_images=400", "images=40", "steps=2", "repeats=1",
]  # fmt: skip


def test_the_command_trains_and_tells(tmp_path, capsys):
    main([*SMALL, f"out={tmp_path}"])
    found = json.loads((tmp_path / "advice.json").read_text())
    assert set(found["advice"]["elbo"]) >= {"plain", "hard", "relaxed_bias"}
    assert {p["images"] for p in found["pilots"]} == {40, 10} and len(found["pilots"]) == 8
    assert {s["symmetry"] for s in found["support"]} == {"rotation", "shift", "mirror"}
    assert "Recommended:" in capsys.readouterr().out and (tmp_path / "advice.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images=10"], "data must name the images"),
        (["data=mnist5k", "images=many"], "images must be a whole number >= 1; got 'many'"),
        (["level=upright"], "level is now scenario: write scenario=upright"),
        (["data=mnist5k", "model=plain"], "'model=plain' is not an option"),
        (["data=npz", "data.source.path=nowhere.npz"], "nowhere.npz"),
    ],
)
def test_mistakes_are_told_in_a_sentence_before_training(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err
