"""`eqvae train`: train a VAE, test it, and leave a folder with pictures, metrics and checkpoints."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from eqvae.cli.console import (
    FAULT,
    announce,
    complain,
    never_fail_to_print,
    one_sentence_errors,
    pasted,
    printer,
    run_with_hydra,
    spelled,
)
from eqvae.cli.faults import fault_of

SHOWN = (
    *("test/free_energy", "test/elbo", "test/log_likelihood", "test/kl"),
    *("test/prior_gap", "train/seconds", "prior/seconds"),
)

DIVERGED = 1  # exit code
FOLDER = "EQVAE_RUN_FOLDER"  # from the first process of a run to the others

USAGE = """\
Train a VAE, test it, and leave a folder with pictures, metrics and checkpoints.

Usage: {train} [PART=CHOICE ...] [KEY=VALUE ...]

Parts and their choices
{choices}

Examples
  {train}                                   the default run, minutes on two cores
  {train} model=plain objective=elbo_soft   soft symmetry instead of hard
  {train} data/pose=upright trainer.max_epochs=5
  {train} data=folder data.source.path=my_images   your own images
  {train} experiment=smoke                  does everything run? seconds
  {train} logger.mode=online                curves and pictures to W&B
  {train} resume=runs/NAME/DATE             continue a run where it stopped
  {train} -m seed=0,1,2                     one run after another

Any key of any file can be set as KEY=VALUE; `--cfg job` prints them all.
EQVAE_DEBUG=1 in the environment shows tracebacks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the arguments say, by default those of this process."""
    never_fail_to_print()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if {"-h", "--help"} & set(arguments):
        print(help_text())
    elif any(a.startswith("resume=") and a != "resume=null" for a in arguments):
        _run(lambda: (*_resumed(arguments), True))
    else:
        run_with_hydra(lambda config: _run(lambda: (*_composed(config), False)), "train", arguments)


def help_text() -> str:
    """The usage, every part with its choices as found in configs/, and examples."""
    from eqvae.resources import configs

    lines = []
    for folder in sorted(path for path in configs().rglob("*") if path.is_dir()):
        choices = sorted(folder.glob("[!_]*.yaml"))  # _name: a part of others
        if choices:
            lines.append(f"  {folder.relative_to(configs()).as_posix()}")
        for file in choices:
            comments = [
                s[2:] for s in file.read_text(encoding="utf-8").splitlines() if s.startswith("# ")
            ]
            about = next((s for s in comments if not s.startswith("@")), "")
            lines.append(f"    {file.stem:<17} {about}")
    return USAGE.format(train=spelled("train"), choices="\n".join(lines))


def _run(find: Callable[[], tuple[dict[str, Any], Path, bool]]) -> None:
    """Prepare and train what `find` says, configuration, folder, and whether the run continues there.

    Every expected failure is one sentence.
    """
    try:
        with one_sentence_errors():
            # torch takes seconds to import: `--help` answers without it
            from eqvae.training.divergence import Diverged
            from eqvae.training.interruption import Interrupted
            from eqvae.training.loggers import LastingWandbLogger
            from eqvae.training.run import prepare, train

            plain, folder, resume = find()
            with _removed_if_empty(folder):
                prepared = prepare(plain, folder, resume=resume)
                announce(prepared.datamodule)
    except KeyboardInterrupt:
        complain("interrupted before training started; nothing was lost.")
        sys.exit(130)
    try:
        metrics = train(prepared)
    except Diverged as stop:
        complain(f"error: {stop}")
        sys.exit(DIVERGED)
    except Interrupted as stop:
        if stop.checkpoint is None:
            complain("interrupted before the first step; start the run again.")
        else:
            complain(f"interrupted; {stop.checkpoint} is written. Continue with")
            complain(f"  {pasted('train', f'resume={folder}')}")
        sys.exit(128 + stop.signal)
    except Exception as error:
        fault = fault_of(error)
        if fault is None or os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"error: {fault}. {_left(folder)}")
        sys.exit(FAULT)
    if prepared.trainer.is_global_zero and not prepared.trainer.fast_dev_run:
        _report(metrics, folder)
    for logger in prepared.trainer.loggers:
        if isinstance(logger, LastingWandbLogger) and logger.lost:
            complain(f"error: {logger.lost}")
            sys.exit(FAULT)


def _left(folder: Path) -> str:
    """What is whole of a run that failed, and how to go on."""
    import warnings

    from eqvae.training.resume import checkpoint_to_resume

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = checkpoint_to_resume(folder)
    except (ValueError, OSError):
        return "No checkpoint is whole yet: start the run again, with another run_dir."
    return f"{checkpoint} is whole; continue with\n  {pasted('train', f'resume={folder}')}"


def _composed(config: Any) -> tuple[dict[str, Any], Path]:
    """The plain configuration of a new run, and its folder."""
    from hydra.core.hydra_config import HydraConfig

    from eqvae.config import to_plain

    plain = to_plain(config)
    choices = HydraConfig.get().runtime.choices
    plain["name"] = plain["name"] or f"{choices['model']}-{choices['data']}"
    if plain["run_dir"] is not None:
        return plain, Path(plain["run_dir"])
    return plain, _shared_folder(Path("runs") / str(plain["name"]))


def _resumed(arguments: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """What the run was trained with, with what is changed, and its folder; Hydra has no part in it."""
    from eqvae.overrides import values
    from eqvae.renamed import check_overrides
    from eqvae.training.resume import changed
    from eqvae.training.run import stored_config

    check_overrides(arguments)
    changes = values(arguments)
    folder = Path(changes.pop("resume"))
    return changed(stored_config(folder), changes), folder


def _shared_folder(parent: Path) -> Path:
    """A new folder, the same for the processes that Lightning, torchrun or srun starts for this run."""
    from eqvae.training.cluster import num_tasks

    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _agreed_folder(parent)
    if num_tasks() > 1:
        return _folder_of_the_job(parent)
    if os.environ.get("LOCAL_RANK", "0") != "0" and FOLDER in os.environ:
        return Path(os.environ[FOLDER])
    folder = _new_folder(parent)
    os.environ[FOLDER] = str(folder.resolve())
    return folder


def _agreed_folder(parent: Path) -> Path:
    """The folder that the first of torchrun's processes makes; its store tells the others."""
    from torch.distributed import TCPStore

    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise ValueError(
            "run_dir must be given: these processes can't agree on a folder before they train."
        )
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, timeout=timedelta(minutes=5))
    key = f"{FOLDER}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if os.environ["RANK"] == "0":
        store.set(key, str(_new_folder(parent).resolve()))
    return Path(store.get(key).decode())


def _folder_of_the_job(parent: Path) -> Path:
    """The folder of a job of SLURM's, and of its step: all of its processes know both."""
    job, step = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_STEP_ID")
    if job is None:
        raise ValueError(
            "run_dir must be given: these processes don't know the number of their job."
        )
    return (parent / "-".join(["slurm", job, *([step] if step else [])])).resolve()


def _new_folder(parent: Path) -> Path:
    """runs/<name>/<date>_<time>, with a number if another run began in the same second."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ["", *(f"-{n}" for n in range(2, 1000))]:
        folder = parent / f"{stamp}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ValueError(f"run_dir must be given: {parent} holds too many runs of this second.")


def _report(metrics: dict[str, float], folder: Path) -> None:
    from rich.table import Table

    console = printer()
    console.print(f"results in {folder}")
    table = Table()
    table.add_column("name")
    table.add_column("value", justify="right")
    for name in SHOWN:
        if name in metrics:
            table.add_row(name, f"{metrics[name]:.1f}")
    console.print(table)
    console.print("pictures/  metrics.json  metrics.csv  config.yaml  checkpoints/")
    console.print(f"load it with eqvae.load_vae({str(folder)!r})")


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    """A run that could not start leaves no empty folder."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise
