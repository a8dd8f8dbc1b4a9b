"""Many cells of a comparison, each a job of Hydra's launcher, with progress from the files they leave."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from eqvae.cli.console import complain

GRACE = 10  # seconds that a launcher has to end by itself


def launch(plan: Any, jobs: Sequence[Any], what: str, arguments: Sequence[str]) -> None:
    """Hydra's multirun over the cells, in a process of its own.

    Args:
        plan: an `eqvae.comparison.plan.Plan`.
        jobs: its jobs that are to do.
        what: they are, for the progress bar.
        arguments: of the command that launches them.

    Raises:
        OSError: if the launcher fails.
    """
    if not jobs:
        return
    names = [job.cell.name for job in jobs]
    cells = f"cell={','.join(names)}"
    command = [sys.executable, "-W", "ignore", "-m", "eqvae", "compare", "-m", *arguments, cells]
    begin = time.time()
    with _terminated_as_interrupted():
        child = subprocess.Popen(command, start_new_session=True)  # a group that can be stopped
        try:
            _follow(child, plan, names, what, begin)
        finally:
            _stop(child)
    if child.returncode:
        raise OSError(f"the launcher stopped with code {child.returncode}; it says why above.")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt(signal), so that nothing that was started is left behind."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt(signum)

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop(child: Any) -> None:
    """End a launcher that still runs, with the workers that it has started."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)


def _follow(child: Any, plan: Any, names: list[str], what: str, begin: float) -> None:
    """Show how far the child has come until it ends: a bar in a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[failed]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=len(names), failed="")
        said, rows = 0, {}
        while child.poll() is None:
            time.sleep(0.5)
            new = [n for n in names if n not in rows and _fresh(plan, n, begin)]
            rows |= {name: plan.results.get(name) for name in new}
            bad = sum(row["status"] != "finished" for row in rows.values())
            failed = f"{bad} failed or diverged" if bad else ""
            bar.update(task, completed=len(rows), failed=failed)
            if not console.is_terminal and len(rows) >= said + max(1, len(names) // 20):
                said = len(rows)
                left = (time.time() - begin) / said * (len(names) - said)
                complain(f"{what}: {said} of {len(names)}, about {left / 60:.0f} min left")


def _fresh(plan: Any, name: str, since: float) -> bool:
    path = plan.results.folder / f"{name}.json"
    return path.is_file() and path.stat().st_mtime >= since - 1
