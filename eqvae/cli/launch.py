"""Many cells of a comparison, each a job of Hydra's launcher, with progress from the files they leave.

A launcher may go down with a worker that is killed, as joblib's does, and then others go down with it. So it
is started again for the cells that are left: those that were running one by one, so that the one that needs
too much memory fails alone, the rest together as before.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from eqvae.cli.console import complain
from eqvae.cli.launchers import RAY

GRACE = 10  # seconds that a launcher has to end by itself
LAUNCHED_BY = "EQVAE_LAUNCHED_BY"  # in a launcher's environment: the process that started it
TRIES = 2  # of a cell whose process is killed


def launch(plan: Any, jobs: Sequence[Any], what: str, arguments: Sequence[str]) -> None:
    """Hydra's multirun over the cells, in a process of its own.

    A cell whose process is killed is run again, alone; if that is killed too, the cell has failed.

    Args:
        plan: an `eqvae.comparison.plan.Plan`.
        jobs: its jobs that are to do.
        what: they are, for the progress bar.
        arguments: of the command that launches them.

    Raises:
        OSError: if the launcher fails before it has started a cell.
    """
    from eqvae.data.images import listing  # which imports torch

    names = [job.cell.name for job in jobs]
    if not names:
        return
    killed: Counter[str] = Counter()
    groups, early = [names], 0
    with terminated_as_interrupted(), _Progress(plan, names, what) as progress:
        while groups:
            group = groups.pop()
            code, left, running = _round(plan, group, arguments, progress)
            if not left or not (code or running):
                continue
            killed.update(running)
            early += not running
            if not running and (code > 0 or early == TRIES):
                raise OSError(
                    f"the launcher stopped {_by(code)} and left {listing(left)} undone; it says why above. "
                    "Run the same command to go on."
                )
            again = [name for name in running if killed[name] < TRIES]
            if again:
                complain(f"{listing(again)}: was killed and is run again, alone")
            for name in set(running) - set(again):
                why = f"its process was killed {TRIES} times"
                plan.give_up(name, f"{why}{f', {_by(code)}' if code < 0 else ''} (no memory left?)")
            groups += [[name] for name in again]
            rest = [name for name in left if name not in running]
            groups += [rest] if rest else []


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt(signal), so that nothing that was started is left behind."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt(signum)

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _round(
    plan: Any, names: Sequence[str], arguments: Sequence[str], progress: "_Progress"
) -> tuple[int, list[str], list[str]]:
    """One start of the launcher: its exit code, the cells without a row, and which of them were running."""
    joined = ",".join(names)
    ray = RAY in arguments  # no launcher of Hydra's: a list for one process
    words = [*arguments, f"cell=[{joined}]"] if ray else ["-m", *arguments, f"cell={joined}"]
    command = [sys.executable, "-W", "ignore", "-m", "eqvae", "compare", *words]
    for name in names:
        plan.results.forget_running(name)
    begin = time.time()
    os.environ[LAUNCHED_BY] = str(os.getpid())
    child = subprocess.Popen(command, start_new_session=True)  # a group that can be stopped
    del os.environ[LAUNCHED_BY]
    try:
        while child.poll() is None:
            time.sleep(0.5)
            progress.update()
    finally:
        _stop(child)
    progress.update()
    left = [name for name in names if not _fresh(plan, name, begin)]
    return child.returncode, left, [name for name in left if plan.results.left_running(name)]


def _stop(child: Any) -> None:
    """End a launcher that still runs, and the workers that it has started, also those that outlive it."""
    with suppress(ProcessLookupError):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def end_with_parent() -> None:
    """Of a launcher: end it and what it has started when who has started it is gone, even by SIGKILL.

    It leads a group of its own, see `_round`: nobody else would stop it. Of any other process: nothing.
    """
    parent = os.getppid()
    if os.environ.pop(LAUNCHED_BY, None) != str(parent):
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(0, signal.SIGTERM)
        time.sleep(GRACE)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _by(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"


class _Progress:
    """How far the cells have come: a bar in a terminal, else a line now and then.

    Args:
        plan: of the cells.
        names: of the cells.
        what: they are.
    """

    def __init__(self, plan: Any, names: Sequence[str], what: str):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.plan, self.names, self.what = plan, names, what
        self.begin = time.time()
        self.rows: dict[str, Any] = {}
        self.said = 0
        console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[failed]}"),
        )  # fmt: skip
        self.silent = not console.is_terminal
        self.bar = Progress(*columns, console=console, disable=self.silent)
        self.task = self.bar.add_task(what, total=len(names), failed="")

    def __enter__(self) -> "_Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def update(self) -> None:
        """Look which cells have left a row."""
        missing = [n for n in self.names if n not in self.rows]
        new = [n for n in missing if _fresh(self.plan, n, self.begin)]
        self.rows |= {name: self.plan.results.get(name) for name in new}
        bad = sum(row["status"] != "finished" for row in self.rows.values())
        failed = f"{bad} failed or diverged" if bad else ""
        self.bar.update(self.task, completed=len(self.rows), failed=failed)
        done, total = len(self.rows), len(self.names)
        if self.silent and done >= self.said + max(1, total // 20):
            self.said = done
            left = (time.time() - self.begin) / done * (total - done)
            complain(f"{self.what}: {done} of {total}, about {left / 60:.0f} min left")


def _fresh(plan: Any, name: str, since: float) -> bool:
    path = plan.results.folder / f"{name}.json"
    return path.is_file() and path.stat().st_mtime >= since - 1
