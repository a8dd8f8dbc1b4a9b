"""The command `dashboard` says what it lacks."""

import pytest

from eqvae.cli.dashboard import main
from eqvae.comparison.table import write_table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["project=eqvae"], "entity must name the user or team"),
        (["entity=me", "scenario=se2"], "'scenario=se2' is not an option"),
        (["entity=me", "comparison=nothing"], "comparison must name a table"),
        (["entity=me", "results=RESULTS", "comparison=made"], "Weights & Biases account"),
    ],
)
def test_without_an_account_the_command_says_so(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    write_table([], tmp_path / "made.parquet")
    arguments = [a.replace("RESULTS", str(tmp_path)) for a in arguments]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err
