"""Weights & Biases: one run for each cell, grouped by the comparison, with the row as its summary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from eqvae.training.loggers import wandb_logger


def log_cell(
    folder: str | Path,
    comparison: str,
    name: str,
    cell: Mapping[str, Any],
    row: Mapping[str, Any],
    mode: Literal["offline", "online", "disabled"] = "offline",
) -> None:
    """Log a finished cell; offline needs no account, `wandb sync` sends it later.

    Args:
        folder: where W&B's files go, in a folder of the cell's name.
        comparison: group of the runs.
        name: of the run.
        cell: design: arm, level, images, ...; the run's configuration.
        row: results; the run's summary.
        mode: of W&B.

    Raises:
        ValueError: if mode is "online" and no credentials are found.
    """
    own = Path(folder) / "wandb" / name
    own.mkdir(parents=True, exist_ok=True)
    logger = wandb_logger(mode, group=comparison, name=name, folder=own)
    if logger is None:
        return
    run = logger.experiment
    run.config.update(dict(cell))
    run.summary.update({key: value for key, value in row.items() if value is not None})
    run.finish()
