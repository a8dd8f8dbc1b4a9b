"""The command `compare`: it resumes, and a mistake ends in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from eqvae.cli import launch
from eqvae.cli.compare import _refuse_failures, main, run
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


# in every process that Python starts: the first cell of all is killed in its training
KILLER = """
import os, signal, sys, threading, time

def kill(*_):
    try:
        os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return train(*_)
    os.kill(os.getpid(), signal.SIGKILL)

def wait():
    global train
    while not hasattr(sys.modules.get("eqvae.comparison.work"), "log_row"):
        time.sleep(0.01)
    work = sys.modules["eqvae.comparison.work"]
    train, work.run_cell = work.run_cell, kill

threading.Thread(target=wait, daemon=True).start()
"""


class InThisProcess:
    """What `launch` starts, without the seconds that a new process takes to import everything."""

    returncode, pid = 0, 2**30

    def __init__(self, command: list[str], start_new_session: bool):
        assert start_new_session  # so that all of it can be stopped
        assert command[3:6] == ["-m", "eqvae", "compare"] and command[6] == "-m"
        *arguments, cells = command[7:]
        for name in cells.removeprefix("cell=").split(","):
            run(compose([*arguments, f"cell={name}"], name="compare"))

    def poll(self) -> int:
        return self.returncode

    wait = poll


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


def test_failed_cells_end_in_a_sentence_and_a_code(capfd):
    names = ["a", "b", "c"]
    cells = [SimpleNamespace(name=name) for name in names]
    part = SimpleNamespace(trials=list, arms=[], cells=lambda rates: [("block", c) for c in cells])
    results = SimpleNamespace(done=lambda name: name == "b")
    with pytest.raises(SystemExit) as stop:
        _refuse_failures(SimpleNamespace(results=results, rates=dict), part)
    assert stop.value.code == 1
    assert "2 of 3 cells are not done: a, c. Run the same command" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package"),
    [
        ("joblib", "hydra_plugins.hydra_joblib_launcher"),
        ("submitit_local", "hydra_plugins.hydra_submitit_launcher"),
        ("ray", "ray"),
    ],
)
def test_a_worker_that_is_killed_is_replaced(launcher, package, tmp_path):
    pytest.importorskip(package)
    flag = tmp_path / "killed"
    (tmp_path / "sitecustomize.py").write_text(KILLER.format(flag=str(flag)))
    command = [
        *(sys.executable, "scripts/compare.py", "experiment=atlas_smoke", "atlas.rates=[0.01]"),
        *(f"results={tmp_path / 'results'}", f"work={tmp_path / 'work'}"),
        *(f"atlas.overrides={json.dumps(TINY)}", f"hydra.sweep.dir={tmp_path / 'hydra'}"),
        *("part={arms:[hard],scenarios:[se2,upright]}", f"hydra/launcher={launcher}"),
    ]
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert flag.exists() and "Traceback" not in done.stderr
    assert "was killed and is run again" in done.stderr
    rows = read_table(tmp_path / "results" / "atlas_smoke.parquet")
    assert [row["status"] for row in rows] == ["finished"] * 2


def test_hydra_s_own_flags_are_no_overrides():
    command = [sys.executable, "scripts/compare.py", "--cfg", "job"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "name: atlas_smoke" in done.stdout
