"""`eqvae compare`: train every cell of a design, resume what is missing, report."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eqvae.cli.console import (
    arguments_or_help,
    complain,
    one_sentence_errors,
    run_with_hydra,
)
from eqvae.watch import watched

FAILED = 1  # exit code

USAGE = """\
Compare ways to put the symmetry in: train every cell of a design, resume what is missing, report.

Usage: {compare} [experiment=atlas_smoke] [KEY=VALUE ...]

Designs
  experiment=atlas_smoke     does everything run? minutes
  experiment=atlas_laptop    two cores, hours: every arm, a part of the scenarios and budgets
  experiment=atlas_sprites   generated shapes of known symmetry, as the laptop's
  experiment=atlas_real      nuclei and galaxies, from the archives in data/
  experiment=atlas_full      the whole grid, for a cluster

Where the cells run
  (default)                                                   one after the other
  hydra/launcher=joblib hydra.launcher.n_jobs=2               local processes
  hydra/launcher=submitit_slurm hydra.launcher.partition=P    SLURM
  hydra/launcher=ray                                          Ray
Each but the first is a package: pip install 'eqvae[launchers]' has joblib and SLURM, 'eqvae[ray]' Ray.

A cell whose process is killed is run again, alone; if that is killed too, the cell has failed (exit code 1).
Run the same command again to go on: finished cells are kept, failed and killed ones are run again.
  part={arms:[plain,hard],scenarios:[se2]}
                             run only these now; also images, seeds, match, weights
  results=FOLDER             where the table and the page with its figures go
  work=FOLDER                where cells are kept until then
  wandb=online               one W&B run for each cell, grouped by the comparison"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison that the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE, alone=True)
    if arguments is None:
        return
    from eqvae.cli.launch import end_with_parent, terminated_as_interrupted
    from eqvae.cli.launchers import every_job_waited_for, know_ray, refuse_missing

    with one_sentence_errors():
        refuse_old_words(arguments)
        refuse_missing(arguments)
    know_ray()
    if not any(a in ("-m", "--multirun") or a.startswith("cell=") for a in arguments):
        run_with_hydra(lambda config: run(config, arguments), "compare", arguments)
        return
    end_with_parent()
    with _ended_in_a_line(), terminated_as_interrupted(), every_job_waited_for():
        run_with_hydra(run, "compare", arguments)


@contextmanager
def _ended_in_a_line() -> Iterator[None]:
    """A launcher that is stopped says nothing, the command that has started it does; one that fails, why."""
    try:
        yield
    except KeyboardInterrupt as stop:
        sys.exit(_code(stop))
    except Exception as error:  # of joblib's or submitit's: each has its own
        if os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"the launcher: {type(error).__name__}: {' '.join(str(error).split())}")
        sys.exit(FAILED)


def refuse_old_words(arguments: Sequence[str]) -> None:
    """Say what a key of before is called now.

    Raises:
        ValueError: if an argument uses one.
    """
    from eqvae.comparison.design import RENAMED

    for argument in arguments:
        for old, new in RENAMED.items():
            if re.search(rf"^(part|atlas)\b.*[.{{,]\s*{old}\s*[:.=]", argument):
                raise ValueError(f"{old} is called {new} now; got {argument!r}.")


def run(config: Any, arguments: Sequence[str] = ()) -> None:
    """The whole comparison, or with `cell` one job of it; `arguments` are those of the command."""
    with one_sentence_errors():
        from eqvae.comparison.design import Design
        from eqvae.config import to_plain

        plain = to_plain(config)
        design = Design(**plain["atlas"])
        part = design.part({axis: kept for axis, kept in plain["part"].items() if kept is not None})
        from eqvae.comparison.plan import Plan  # which imports torch
        from eqvae.training.loggers import check_account

        check_account(plain["wandb"])
        results = Path(plain["results"])
        plan = Plan(
            design, Path(plain["work"]) / design.name, results / f"{design.name}.parquet", watched
        )
        if isinstance(plain["cell"], list):
            _give_to_ray(plain["cell"])
            return
        if plain["cell"] is not None:
            _work(plan, plain["cell"], plain["wandb"])
            return
        plan.refuse_other_designs()
        try:
            _train(plan, part, arguments)
        except KeyboardInterrupt as stop:
            complain("interrupted; the finished cells are kept. Run the same command to go on.")
            sys.exit(_code(stop))
        finally:
            _collect(plan, results, plain["wandb"])
        _refuse_failures(plan, part)


def _code(stop: KeyboardInterrupt) -> int:
    """What a shell expects of a process that a signal has stopped."""
    return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def _refuse_failures(plan: Any, part: Any) -> None:
    """Exit with code 1 where cells of this command have failed."""
    from eqvae.data.images import listing

    cells = [*part.trials(), *(cell for _, cell in part.cells(plan.rates(part.arms)))]
    undone = list(dict.fromkeys(cell.name for cell in cells if not plan.results.done(cell.name)))
    if undone:
        complain(
            f"error: {len(undone)} of {len({cell.name for cell in cells})} cells are not done: "
            f"{listing(undone)}. Run the same command to try them again."
        )
        sys.exit(FAILED)


def _work(plan: Any, cell: str, wandb: str) -> None:
    """One cell, in a process of the launcher's; stopped from outside it ends without a word."""
    from eqvae.comparison.work import work
    from eqvae.training.interruption import Interrupted

    try:
        work(plan, cell, wandb)
    except Interrupted as stop:
        sys.exit(128 + stop.signal)


def _give_to_ray(cells: Sequence[str]) -> None:
    """Many cells, in the process that launches them."""
    from hydra.core.hydra_config import HydraConfig

    from eqvae.cli.launchers import run_on_ray

    hydra = HydraConfig.get()
    words = [word for word in hydra.overrides.task if not word.startswith("cell=")]
    run_on_ray(cells, words, hydra.launcher, run)


def _train(plan: Any, part: Any, arguments: Sequence[str]) -> None:
    """All that a part of the design still lacks: first its learning rates, then its cells."""
    from eqvae.cli.launch import launch

    launch(plan, plan.pending(part.trials()), "learning rates", arguments)
    cells = [cell for _, cell in part.cells(plan.rates(part.arms))]
    launch(plan, plan.pending(cells), "cells", arguments)


def _collect(plan: Any, results: Path, wandb: str) -> None:
    """Table and page of what there is."""
    from eqvae.comparison.advice import validate
    from eqvae.comparison.report import write_page
    from eqvae.comparison.table import write_table

    rows, name = plan.rows(), plan.design.name
    if not rows:
        return
    table = results / f"{name}.parquet"
    write_table(rows, table)
    page = write_page(rows, results / name, f"Hard or soft: {name}", chooser=validate(rows))
    if wandb != "disabled":
        from eqvae.comparison.tracking import log_page
        from eqvae.comparison.work import log_row

        for row in rows:  # those of a table from before too
            log_row(plan, row, wandb)
        log_page(plan.folder, name, page, wandb)
    for row in rows:
        if row["status"] != "finished":
            why = row.get("reason") or f"at step {row.get('step')}"
            complain(f"{row['status']}: {row['cell']}: {why}")
    print(f"{len(rows)} cells; {table}, {page}")
