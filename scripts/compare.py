"""Compare ways to put the symmetry in: train every cell of a design, resume what is missing, report.

Usage: python scripts/compare.py [experiment=atlas_smoke] [KEY=VALUE ...]
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_EXAMPLES = """\
Designs
  experiment=atlas_smoke     does everything run? minutes
  experiment=atlas_laptop    two cores, hours: every arm, a part of the levels and budgets
  experiment=atlas_sprites   generated shapes of known symmetry, as the laptop's
  experiment=atlas_real      nuclei and galaxies, from the archives in data/
  experiment=atlas_full      the whole grid, for a cluster

Where the cells run
  (default)                                                   one after the other
  hydra/launcher=joblib hydra.launcher.n_jobs=2               local processes
  hydra/launcher=submitit_slurm hydra.launcher.partition=P    SLURM
  hydra/launcher=ray                                          Ray
Each but the first is a package: pip install 'eqvae[launchers]' has joblib and SLURM, 'eqvae[ray]' Ray.

Run the same command again to go on: finished cells are kept, failed and killed ones are run again.
  part={arms:[plain,hard],levels:[se2]}
                             run only these now; also images, seeds, match, weights
  results=FOLDER             where table, report and atlas.json go
  work=FOLDER                where cells are kept until then
  wandb=online               one W&B run for each cell, grouped by the comparison
"""


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__.strip() + "\n\n" + _EXAMPLES)
        return
    import hydra
    from hydra.errors import HydraException

    from eqvae.cli.console import USER_ERROR, complain

    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        hydra.main(version_base="1.3", config_path=str(ROOT / "configs"), config_name="compare")(
            run
        )()
    except HydraException as error:  # of an override: several lines that say one thing
        if os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"error: {' '.join(str(error).split())}")
        sys.exit(USER_ERROR)


def run(config: Any) -> None:
    """The whole comparison, or with `cell` one job of it."""
    from eqvae.cli.console import complain, one_sentence_errors, watch

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
        table = results / f"{design.name}.parquet"
        folder = Path(plain["work"]) / design.name
        plan = Plan(design, folder, table, watch)
        if plain["cell"] is not None:
            _work(plan, plain["cell"], plain["wandb"])
            return
        plan.refuse_other_designs()
        try:
            _launch(plan, plan.pending(part.trials()), "learning rates")
            cells = [cell for _, cell in part.cells(plan.rates(part.arms))]
            _launch(plan, plan.pending(cells), "cells")
        except KeyboardInterrupt:
            complain("interrupted; the finished cells are kept. Run the same command to go on.")
            sys.exit(130)
        finally:
            _collect(plan, table, results, plain["wandb"])


def _work(plan: Any, name: str, wandb_mode: str) -> None:
    """Run one cell and keep its row; an error is kept as its reason, and the others go on."""
    from dataclasses import asdict

    from eqvae.comparison.cell import cell_config, run_cell

    if plan.results.done(name):
        return
    job = plan.job(name)
    begin = time.monotonic()
    try:
        config = cell_config(job.cell, plan.design.settings(job.cell.arm), job.widths)
        row = run_cell(config, job.cell.seed)
    except Exception as error:  # whatever it is, it must not end the others
        row = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    row |= {
        "cell_seconds": time.monotonic() - begin,
        "arm": job.cell.arm,
        "design": plan.design.digest(job.cell.arm),
    }
    plan.results.put(name, row)
    if wandb_mode != "disabled":
        _log(plan, {**row, **asdict(job.cell), "cell": name}, wandb_mode)


def _log(plan: Any, row: dict[str, Any], wandb_mode: str) -> None:
    """A cell as a run in Weights & Biases, unless it is there."""
    from dataclasses import fields

    from eqvae.comparison.design import Cell
    from eqvae.comparison.tracking import log_cell

    logged = plan.folder / "wandb" / row["cell"] / "logged"
    if logged.is_file():
        return
    cell = {field.name: row[field.name] for field in fields(Cell)}
    scores = {key: value for key, value in row.items() if key not in cell}
    tuning = cell["seed"] == plan.design.tuning["seed"]
    name = plan.design.name
    log_cell(plan.folder, name, row["cell"], cell, scores, wandb_mode, tuning=tuning)
    logged.touch()


def _launch(plan: Any, jobs: list[Any], what: str) -> None:
    """Hydra's multirun over the cells, in a process of its own; progress from the files they leave."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if not jobs:
        return
    names = [job.cell.name for job in jobs]
    cells = f"cell={','.join(names)}"
    command = [sys.executable, "-W", "ignore", __file__, "-m", *sys.argv[1:], cells]
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[failed]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=len(names), failed="")
        child = subprocess.Popen(command)
        begin, said, rows = time.time(), 0, {}
        try:
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
                    console.print(f"{what}: {said} of {len(names)}, about {left / 60:.0f} min left")
        except KeyboardInterrupt:
            child.wait()
            raise
    if child.returncode:
        raise OSError(f"the launcher stopped with code {child.returncode}; it says why above.")


def _fresh(plan: Any, name: str, since: float) -> bool:
    path = plan.results.folder / f"{name}.json"
    return path.is_file() and path.stat().st_mtime >= since - 1


def _collect(plan: Any, table: Path, results: Path, wandb_mode: str) -> None:
    """Table and report of what there is."""
    from eqvae.cli.console import complain
    from eqvae.comparison.advice import validate
    from eqvae.comparison.report import write_atlas
    from eqvae.comparison.table import write_table, write_whole

    rows = plan.rows()
    if not rows:
        return
    write_table(rows, table)
    page = write_atlas(
        rows,
        results / plan.design.name,
        title=f"Hard or soft: {plan.design.name}",
        chooser=validate(rows),
    )
    write_whole(results / "atlas.json", page.with_name("atlas.json").read_text())
    if wandb_mode != "disabled":
        from eqvae.comparison.tracking import log_page

        for row in rows:  # those of a table from before too
            _log(plan, row, wandb_mode)
        log_page(plan.folder, plan.design.name, page, wandb_mode)
    for row in rows:
        if row["status"] != "finished":
            why = row.get("reason") or f"at step {row.get('step')}"
            complain(f"{row['status']}: {row['cell']}: {why}")
    print(f"{len(rows)} cells; {table}, {page}")


if __name__ == "__main__":
    main()
