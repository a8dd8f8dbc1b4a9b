"""The command `compare`: it resumes, and a mistake ends in one sentence."""

import json
import subprocess
import sys

import pytest

from eqvae.cli import launch
from eqvae.cli.compare import main, run
from eqvae.comparison.table import COLUMNS, read_table
from eqvae.config import compose

TINY = [
    *("data=sprites", "data.source.num_images=200", "data.batch_size=20", "trainer.max_epochs=-1"),
    *(
        "+trainer.max_steps=4",
        "+trainer.val_check_interval=2",
        "trainer.check_val_every_n_epoch=null",
    ),
]


class InThisProcess:
    """What `launch` starts, without the seconds that a new process takes to import everything."""

    returncode = 0

    def __init__(self, command: list[str], start_new_session: bool):
        assert start_new_session  # so that all of it can be stopped
        assert command[3:6] == ["-m", "eqvae", "compare"] and command[6] == "-m"
        *arguments, cells = command[7:]
        for name in cells.removeprefix("cell=").split(","):
            run(compose([*arguments, f"cell={name}"], name="compare"))

    def poll(self) -> int:
        return self.returncode


def test_the_command_resumes_and_runs_failed_cells_again(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [
        *("experiment=atlas_smoke", "atlas.rates=[0.01]", "atlas.blocks.scenarios.seeds=[0,1]"),
        f"atlas.overrides={json.dumps(TINY)}",
        *(f"results={tmp_path / 'results'}", f"work={tmp_path / 'work'}"),
        "part={arms:[hard],scenarios:[se2]}",
    ]
    main(command)
    table = tmp_path / "results" / "atlas_smoke.parquet"
    rows = read_table(table)
    assert [row["status"] for row in rows] == ["finished"] * 2
    headline = tmp_path / "results" / "atlas_smoke" / "atlas.json"
    assert json.loads(headline.read_text())["cells"] == 2
    assert f"2 cells; {table}" in capfd.readouterr().out
    cell = next((tmp_path / "work" / "atlas_smoke" / "cells").glob("*-s0.json"))
    failed = {"status": "failed", "reason": "it was unplugged", "cell": cell.stem}
    cell.write_text(json.dumps(failed))
    table.unlink()
    monkeypatch.setattr(launch.subprocess, "Popen", InThisProcess)
    main(command)
    again = read_table(table)
    different = [k for k in COLUMNS if again[0][k] != rows[0][k]]
    assert set(different) <= {"seconds", "wall_seconds"}, "run again, and the same number again"
    assert again[1] == rows[1], "not run again"


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (
            "atlas.blocks.scenarios.arms=[hrad]",
            ("atlas.blocks.scenarios.arms must be among", "'hrad'"),
        ),
        ("part.arms=[hrad]", ("part.arms must be among", "'hrad'")),
        ("part={arms:[hard],levels:[se2]}", ("levels is called scenarios now",)),
        ("atlas.blocks.budgets.levels=[se2]", ("levels is called scenarios now",)),
        ("atlas.tuning.level=se2", ("level is called scenario now",)),
        ("atlas.nmae=mine", ("Could not override 'atlas.nmae'",)),
    ],
)
def test_a_mistake_ends_in_one_sentence(mistake, said, tmp_path):
    command = [sys.executable, "scripts/compare.py", mistake]
    command += [f"results={tmp_path}", f"work={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in said) and done.stderr.count("\n") == 1


def test_hydra_s_own_flags_are_no_overrides():
    command = [sys.executable, "scripts/compare.py", "--cfg", "job"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "name: atlas_smoke" in done.stdout
