"""What Hydra's launchers lack for a comparison: Ray, and submitit's jobs all waited for.

`hydra-ray-launcher` can't be installed beside scikit-learn's joblib (it wants cloudpickle < 3, joblib 3 or
newer), and Hydra takes launchers from packages named `hydra_plugins` only. So `hydra/launcher=ray` is a name
here, and its cells are one list to a process that gives each to Ray.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

RAY = "hydra/launcher=ray"
_PACKAGES = {  # by argument the package and the extra that brings it
    RAY: ("ray", "ray"),
    "hydra/launcher=joblib": ("hydra-joblib-launcher", "launchers"),
    "hydra/launcher=submitit_local": ("hydra-submitit-launcher", "launchers"),
    "hydra/launcher=submitit_slurm": ("hydra-submitit-launcher", "launchers"),
}


@dataclass
class RayConfig:
    """Keys of `hydra.launcher` with `hydra/launcher=ray`.

    Attributes:
        address: of a cluster, or "auto"; None starts Ray on this machine, and ends it.
        num_cpus: that Ray may use where it is started; None: all.
        cpus: that a cell takes.
        gpus: that a cell takes, also a fraction.
    """

    address: str | None = None
    num_cpus: int | None = None
    cpus: float = 1
    gpus: float = 0


def know_ray() -> None:
    """Make `hydra/launcher=ray` a choice."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayConfig)


def run_on_ray(
    cells: Sequence[str], arguments: Sequence[str], config: Any, run: Callable[[Any], None]
) -> None:
    """Every cell a task of Ray's; one that is killed does not end the others.

    Args:
        cells: their names.
        arguments: KEY=VALUE of the comparison.
        config: a `RayConfig`.
        run: the command, called in the workers with the configuration of a cell.

    Raises:
        OSError: if processes were killed, once all jobs are over.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    here = {} if config.address else {"num_cpus": config.num_cpus, "include_dashboard": False}
    ours = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    ray.init(config.address, log_to_driver=False, logging_level="error", **here)
    for signum, handler in ours.items():
        signal.signal(signum, handler)  # Ray's prints where it was in its own code
    tasks: list[Any] = []
    try:
        task = ray.remote(num_cpus=config.cpus, num_gpus=config.gpus, max_retries=0)(_run_cell)
        words = [[*arguments, f"cell={cell}"] for cell in cells]
        tasks += [task.remote(run, cell, os.getcwd()) for cell in words]
        ray.wait(tasks, num_returns=len(tasks), fetch_local=False)
        ended = {cell: _error(task) for cell, task in zip(cells, tasks, strict=True)}
    finally:
        for task in tasks if config.address else ():
            ray.cancel(task, force=True)  # of no effect on those that are over
        ray.shutdown()
    for cell, error in ended.items():
        if error:
            raise OSError(f"{cell}: {error}")


def _run_cell(run: Callable[[Any], None], arguments: Sequence[str], folder: str) -> None:
    """One cell in a worker."""
    os.chdir(folder)
    from eqvae.config import compose

    run(compose(list(arguments), name="compare"))


def _error(task: Any) -> str:
    """What ended a task, in one line; "" if it came to its end."""
    import ray

    try:
        ray.get(task)
    except ray.exceptions.RayError as error:
        return " ".join(str(error).split())
    return ""


def refuse_missing(arguments: Sequence[str]) -> None:
    """Say what to install for a launcher.

    Raises:
        ImportError: if the package of one that is asked for is not there.
    """
    for word in arguments:
        package, extra = _PACKAGES.get(word, (None, None))
        try:
            version(package or "hydra-core")
        except PackageNotFoundError:
            raise ImportError(
                f"{word} needs {package}; install it with pip install 'eqvae[{extra}]'."
            ) from None


@contextmanager
def every_job_waited_for() -> Iterator[None]:
    """Inside, submitit's jobs are all over before the first that was killed is reported.

    The launcher of hydra-submitit-launcher 1.2 leaves at the first, with the others still in the queue. Who
    interrupts it cancels them.
    """
    if find_spec("submitit") is None:
        yield
        return
    from submitit import Executor

    def map_array(executor: Any, *arguments: Any) -> list[Any]:
        jobs = submit(executor, *arguments)
        try:
            for job in jobs:
                job.wait()
        except BaseException:
            for job in jobs:
                if not job.done():
                    job.cancel(check=False)
            raise
        return jobs

    submit = Executor.map_array
    Executor.map_array = map_array
    try:
        yield
    finally:
        Executor.map_array = submit
