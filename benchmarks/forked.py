"""Commands in processes that are forked from a warm one: they start at once and can be killed at will.

A forked process has everything imported and does what a fresh one does from there on; SIGKILL ends it as any.
"""

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HANGS = 600  # seconds
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: of its exit; negative the number of the signal that killed it.
        said: what it printed.
        seconds: that it ran.
        gigabytes: the most memory that it held, what it was forked with included.
        hung: whether it was killed because it did not end by itself.
    """

    code: int
    said: str
    seconds: float
    gigabytes: float
    hung: bool = False

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.said


def forked(
    run: Callable[[], None],
    log: Path,
    *,
    kill_after: float | None = None,
    first: Callable[[], None] = lambda: None,
) -> Ended:
    """Call `run` in a forked process, in a folder of nobody's.

    Args:
        run: what it does; an error is printed as Python would and exits with code 1.
        log: file for what it prints.
        kill_after: seconds after which it is killed with SIGKILL.
        first: what changes the process before, such as a limit.
    """
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(run, log, first)
    left = _wait(pid, HANGS if kill_after is None else kill_after)
    if left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return Ended(
        os.waitstatus_to_exitcode(status),
        log.read_text(errors="replace"),
        time.monotonic() - begin,
        usage.ru_maxrss / 2**20,
        hung=left and kill_after is None,
    )


def command(name: str, *arguments: str) -> Callable[[], None]:
    """A command of eqvae, as its script calls it."""

    def run() -> None:
        import importlib

        sys.argv = [str(ROOT / "scripts" / f"{name}.py"), *arguments]
        importlib.import_module(f"eqvae.cli.{name}").main(list(arguments))

    return run


def warm() -> None:
    """Import what commands need, once."""
    import numpy as np
    import torch
    from sklearn.cluster import KMeans

    import eqvae.cli.embed
    import eqvae.cli.evaluate
    import eqvae.cli.train
    import eqvae.embedding
    import eqvae.evaluation.evaluate
    import eqvae.training.runs  # noqa: F401

    torch.set_num_threads(1)
    # OpenBLAS asks for its buffer at its first product, for ever if there is no memory
    KMeans(2, n_init=1).fit(np.random.default_rng(0).normal(size=(100, 3)))


def limited(size: int) -> Callable[[], None]:
    """Writing a file beyond `size` bytes fails, as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def killed_at(write: int) -> Callable[[], None]:
    """The process is killed at its `write`-th file: behind its content, before it has its name, or behind."""

    def aim() -> None:
        from eqvae import files

        flush, count = files._flush, [0]
        sync = files._bring_to_disk

        def at(call: Callable[[Path], None]) -> Callable[[Path], None]:
            def counted(path: Path) -> None:
                count[0] += 1
                if count[0] == write:
                    if call is flush:  # half of it is there
                        with open(path, "r+b") as file:
                            file.truncate(os.path.getsize(path) // 2)
                    os.kill(os.getpid(), signal.SIGKILL)
                call(path)

            return counted

        files._flush, files._bring_to_disk = at(flush), at(sync)

    return aim


def parts_of(folder: Path) -> list[str]:
    """Files of a folder that are not whole, by what each kind of file says of itself."""
    bad = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(p.startswith(".") or p == "wandb" for p in file.parts):
            try:
                _read(file)
            except Exception as error:  # whatever a half file makes of its reader
                bad.append(f"{file.relative_to(folder)}: {type(error).__name__}: {error}"[:200])
    return bad


def _read(file: Path) -> None:
    import csv
    import json

    if file.suffix == ".json":
        json.loads(file.read_text(), parse_constant=_no_constant)
    elif file.suffix == ".yaml":
        from eqvae.stored import read_yaml

        read_yaml(file)
    elif file.suffix == ".csv":
        with file.open(newline="") as text:
            rows = list(csv.reader(text))
        if len({len(row) for row in rows}) != 1:
            raise ValueError("rows of different length")
    elif file.suffix == ".ckpt":
        from eqvae.training.checkpoint import read_checkpoint

        read_checkpoint(file)
    elif file.suffix == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.read_table(file)
    elif file.suffix in (".png", ".gif", ".tiff"):
        from PIL import Image

        with Image.open(file) as image:
            image.load()
    elif file.suffix == ".npz":
        import numpy as np

        with np.load(file) as arrays:
            for name in arrays.files:
                arrays[name]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _child(run: Callable[[], None], log: Path, first: Callable[[], None]) -> None:
    """Never returns."""
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        first()
        run()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(pid: int, seconds: float) -> bool:
    """Whether it still runs after so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if done is not None:
            return False
        time.sleep(0.005)
    return True


def names(found: Sequence[str]) -> str:
    """A few of them, for a report."""
    return "; ".join(found[:5])
