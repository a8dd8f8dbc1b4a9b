"""One worker's share of a comparison: run a job, keep its row whatever happens, log it."""

import time
from dataclasses import asdict, fields
from typing import Any

from eqvae.comparison.cell import cell_config, run_cell
from eqvae.comparison.design import Cell
from eqvae.comparison.plan import Plan
from eqvae.comparison.tracking import Mode, log_cell
from eqvae.training.interruption import Interrupted


def work(plan: Plan, name: str, wandb: Mode) -> None:
    """Run one cell and keep its row; an error is kept as its reason, and the others go on.

    Args:
        plan: of the comparison.
        name: of a cell whose job `Plan.pending` left.
        wandb: mode of Weights & Biases.

    Raises:
        ValueError: if there is no such job.
        Interrupted: by Ctrl-C or SIGTERM; no row is kept, so that the cell is run again.
    """
    if plan.results.done(name):
        return
    job = plan.job(name)
    begin = time.monotonic()
    with plan.results.running(name):
        try:
            config = cell_config(job.cell, plan.design.settings(job.cell.arm), job.widths)
            row = run_cell(config, job.cell.seed)
        except Interrupted:
            raise
        except Exception as error:  # whatever it is, it must not end the others
            row = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        row = plan.keep(job.cell, {**row, "cell_seconds": time.monotonic() - begin})
    if wandb != "disabled":
        log_row(plan, {**row, **asdict(job.cell), "cell": name}, wandb)


def log_row(plan: Plan, row: dict[str, Any], wandb: Mode) -> None:
    """A cell as a run in Weights & Biases, unless it is there."""
    logged = plan.folder / "wandb" / row["cell"] / "logged"
    if logged.is_file():
        return
    cell = {field.name: row[field.name] for field in fields(Cell)}
    scores = {key: value for key, value in row.items() if key not in cell}
    tuning = cell["seed"] == plan.design.tuning["seed"]
    name = plan.design.name
    log_cell(plan.folder, name, row["cell"], cell, scores, wandb, tuning=tuning)
    logged.touch()
