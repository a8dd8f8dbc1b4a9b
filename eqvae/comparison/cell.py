"""One cell of a comparison: train an arm, measure it on held-out images, return one row of the table."""

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from eqvae import config
from eqvae.comparison.design import Cell
from eqvae.comparison.measure import measure
from eqvae.comparison.sizes import num_macs, num_parameters, with_values
from eqvae.config import compose
from eqvae.evaluation.held_out import HeldOut
from eqvae.losses.contest import cosines_of
from eqvae.training.divergence import Diverged
from eqvae.training.run import Run, prepare, train

COSINE_EVERY = 50  # steps between two looks at the gradients of penalties: cells are short
_QUIET = (
    "logger=none",
    "prior=normal",  # rows are compared with those of committed tables
    "callbacks.early_stopping=null",
    "callbacks.pictures=null",
    "callbacks.progress=null",
)


def cell_config(
    cell: Cell, overrides: Sequence[str], widths: dict[str, int] | None = None
) -> dict[str, Any]:
    """The configuration of a cell's run.

    Args:
        cell: which.
        overrides: see `Design.settings`.
        widths: by configuration key, as `fit_widths` found them.
    """
    made = _composed(cell.arm, cell.scenario, tuple(overrides), config.CONFIG_DIR)
    values = dict(widths or {}) | {"data.limit": cell.images}
    values |= dict.fromkeys(("seed", "data.seed", "data.pose.seed"), cell.seed)
    if cell.lr is not None:
        values["optimizer.lr"] = cell.lr
    for name, penalty in (made["objective"].get("penalties") or {}).items():
        weight = cell.weight * penalty.get("weight", 1.0)
        values[f"objective.penalties.{name}.weight"] = weight
        values["objective.cosine_every"] = COSINE_EVERY
    return with_values(made, values)


@lru_cache(maxsize=64)
def _composed(
    arm: str, scenario: str, overrides: tuple[str, ...], folder: str | Path
) -> dict[str, Any]:
    """What all cells of an arm in a scenario share; composing takes longer than a small training."""
    where = [] if scenario == "none" else [f"scenario={scenario}"]
    return compose([f"arm={arm}", *where, *_QUIET, *overrides], folder)


def run_cell(settings: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Train and measure; what diverges is recorded with the step.

    Args:
        settings: configuration of the run, see `cell_config`.
        seed: of the measurement's draws.

    Returns:
        Column -> value, with status "finished" or "diverged".
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order everywhere
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _row(prepare(settings, Path(folder) / "run"), seed)
    finally:
        torch.set_num_threads(threads)


def _row(run: Run, seed: int) -> dict[str, Any]:
    model = run.module.vae
    row = {
        "lr": float(run.config["optimizer"]["lr"]),
        "parameters": num_parameters(model),
        "macs": num_macs(model, run.datamodule.image_shape),
    }
    try:
        found = train(run)
    except Diverged as stop:
        return row | {"status": "diverged", "step": stop.step}
    row |= {
        "status": "finished",
        "epochs": found["train/epochs"],
        "seconds": found["train/processor_seconds"],
        "wall_seconds": found["train/seconds"],
        "val_elbo": found["val/elbo"],
        "grad_cosine": min(cosines_of(found).values(), default=None),
        **{name: found[f"test/{name}"] for name in ("elbo", "free_energy", "squared_error", "kl")},
    }
    return row | measure(HeldOut.of(model.eval(), run.datamodule, seed=seed))
