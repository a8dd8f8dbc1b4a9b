"""The launcher of a comparison: whoever stops it stops all that it has started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from eqvae.cli import launch as module
from eqvae.cli.launch import launch
from eqvae.comparison import work as working
from eqvae.training.interruption import Interrupted

STUBBORN = """
import pathlib, signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
pathlib.Path({file!r}).write_text(str(worker.pid))
time.sleep(100)
"""


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
    plan = SimpleNamespace(results=SimpleNamespace(folder=tmp_path))
    job = SimpleNamespace(cell=SimpleNamespace(name="a"))
    threading.Thread(target=stop, daemon=True).start()
    before = signal.getsignal(signum)
    with pytest.raises(KeyboardInterrupt):
        launch(plan, [job], "cells", [])
    time.sleep(0.1)
    assert started[0].poll() is not None and not is_running(int(file.read_text()))
    assert signal.getsignal(signum) == before


def test_an_interrupted_cell_leaves_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_) -> None:
        raise Interrupted(signal.SIGTERM, None)

    rows = []
    results = SimpleNamespace(done=lambda name: False, put=lambda *row: rows.append(row))
    monkeypatch.setattr(working, "cell_config", interrupted)
    cell = SimpleNamespace(arm="plain", seed=0)
    plan = SimpleNamespace(
        results=results,
        job=lambda name: SimpleNamespace(cell=cell, widths={}),
        design=SimpleNamespace(settings=lambda arm: []),
    )
    with pytest.raises(Interrupted):
        working.work(plan, "a", "disabled")
    assert not rows
