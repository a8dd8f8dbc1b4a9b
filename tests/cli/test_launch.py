"""The launcher of a comparison: whoever stops it stops all that it has started."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from eqvae.cli import launch as module
from eqvae.cli.launch import launch
from eqvae.comparison import work as working
from eqvae.comparison.table import Results
from eqvae.training.interruption import Interrupted

STUBBORN = """
import pathlib, signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
pathlib.Path({file!r}).write_text(str(worker.pid))
time.sleep(100)
"""


def jobs(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(cell=SimpleNamespace(name=name)) for name in names]


class Fragile:
    """A launcher of `side` workers that goes down with each cell that is killed, and the workers with it.

    Args:
        results: of the cells.
        deaths: how often each cell is killed.
        side: cells that run at the same time.
        code: exit code of a launcher that goes down.
    """

    def __init__(self, results: Results, deaths: dict[str, int], side: int, code: int):
        self.results, self.deaths, self.side, self.code = results, deaths, side, code
        self.starts: list[list[str]] = []

    def __call__(self, command: list[str], start_new_session: bool) -> SimpleNamespace:
        names = command[-1].removeprefix("cell=").split(",")
        self.starts.append(names)
        code = next(
            (c for k in range(0, len(names), self.side) if (c := self.run(names[k:][: self.side]))),
            0,
        )
        return SimpleNamespace(pid=2**30, returncode=code, poll=lambda: code, wait=lambda: code)

    def run(self, names: list[str]) -> int:
        dies = [name for name in names if self.deaths.get(name)]
        for name in names:
            if dies:
                (self.results.folder / f"{name}.running").touch()
            else:
                self.results.put(name, {"status": "finished"})
        for name in dies:
            self.deaths[name] -= 1
        return self.code if dies else 0


@pytest.fixture
def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    def made(
        deaths: dict[str, int], side: int = 1, code: int = -9
    ) -> tuple[Fragile, SimpleNamespace]:
        results = Results(tmp_path)
        launcher = Fragile(results, deaths, side, code)
        monkeypatch.setattr(module.subprocess, "Popen", launcher)

        def give_up(name: str, reason: str) -> None:
            results.put(name, {"status": "failed", "reason": reason})

        return launcher, SimpleNamespace(results=results, give_up=give_up)

    return made


def test_a_cell_that_is_killed_is_run_again_alone_and_the_others_once(fragile: Callable) -> None:
    launcher, plan = fragile({"b": 1})
    launch(plan, jobs("a", "b", "c"), "cells", [])
    assert launcher.starts == [["a", "b", "c"], ["c"], ["b"]]
    assert all(plan.results.done(name) for name in "abc")


def test_a_cell_that_kills_its_process_twice_has_failed_and_no_other(fragile: Callable) -> None:
    launcher, plan = fragile({"b": 9}, side=2, code=1)
    launch(plan, jobs("a", "b", "c", "d"), "cells", [])
    assert {name: plan.results.get(name)["status"] for name in "abcd"} == {
        **dict.fromkeys("acd", "finished"),
        "b": "failed",
    }
    assert plan.results.get("b")["reason"] == "its process was killed 2 times (no memory left?)"
    assert launcher.starts[:2] == [["a", "b", "c", "d"], ["c", "d"]] and len(launcher.starts) == 4

    _, plan = fragile({"e": 9})
    launch(plan, jobs("e"), "cells", [])
    why = "its process was killed 2 times, by SIGKILL (no memory left?)"
    assert plan.results.get("e")["reason"] == why


def test_a_launcher_that_starts_no_cell_is_not_started_for_ever(fragile: Callable) -> None:
    launcher, plan = fragile({"a": 9}, code=1)
    launcher.run = lambda names: launcher.code
    with pytest.raises(OSError, match="stopped with code 1 and left a, b undone"):
        launch(plan, jobs("a", "b"), "cells", [])
    assert len(launcher.starts) == 1
    launcher.code = -9  # while it imported, perhaps
    with pytest.raises(OSError, match="by SIGKILL and left a, b, c, d, e and 2 more undone"):
        launch(plan, jobs(*"abcdefg"), "cells", [])
    assert len(launcher.starts) == 3


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_was_started_is_stopped(
    signum: int, deaf: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "worker"
    started = []

    def popen(command: list[str], **how) -> subprocess.Popen:
        code = STUBBORN.format(deaf=deaf, file=str(file))
        started.append(real([sys.executable, "-c", code], **how))
        return started[0]

    def stop() -> None:
        while not (file.exists() and file.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signum)

    real = subprocess.Popen
    monkeypatch.setattr(module.subprocess, "Popen", popen)
    monkeypatch.setattr(module, "GRACE", 0.5)
    # in the background of a shell Ctrl-C is ignored, and stays so
    shell = signal.signal(signum, signal.default_int_handler)
    plan = SimpleNamespace(results=Results(tmp_path))
    threading.Thread(target=stop, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            launch(plan, jobs("a"), "cells", [])
        time.sleep(0.1)
        assert started[0].poll() is not None and not is_running(int(file.read_text()))
        assert signal.getsignal(signum) == signal.default_int_handler
    finally:
        signal.signal(signum, shell)


ORPHAN = """
import os, pathlib, subprocess, sys, time
from eqvae.cli import launch
launch.GRACE = 0.2
launch.end_with_parent()
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
pathlib.Path({file!r}).write_text(f"{{os.getpid()}} {{worker.pid}}")
time.sleep(100)
"""
PARENT = """
import os, subprocess, sys, time
os.environ[{name!r}] = str(os.getpid())
subprocess.Popen([sys.executable, "-c", {code!r}], start_new_session=True)
time.sleep(100)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("marked", [True, False])
def test_a_launcher_ends_with_a_parent_that_is_killed(marked: bool, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    name = module.LAUNCHED_BY if marked else "OTHER"
    code = PARENT.format(name=name, code=ORPHAN.format(file=str(file)))
    parent = subprocess.Popen([sys.executable, "-c", code])
    while not (file.exists() and file.read_text()):
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    pids = [int(pid) for pid in file.read_text().split()]
    end = time.time() + (10 if marked else 1.5)
    while any(map(is_running, pids)) and time.time() < end:
        time.sleep(0.1)
    assert [is_running(pid) for pid in pids] == [not marked] * 2
    if not marked:  # the control: whoever is not a launcher goes on
        os.killpg(pids[0], signal.SIGKILL)


def test_an_interrupted_cell_leaves_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_) -> None:
        raise Interrupted(signal.SIGTERM, None)

    results = Results(tmp_path)
    monkeypatch.setattr(working, "cell_config", interrupted)
    cell = SimpleNamespace(arm="plain", seed=0)
    plan = SimpleNamespace(
        results=results,
        job=lambda name: SimpleNamespace(cell=cell, widths={}),
        design=SimpleNamespace(settings=lambda arm: []),
    )
    with pytest.raises(Interrupted):
        working.work(plan, "a", "disabled")
    assert not list(tmp_path.iterdir())
