"""Weights & Biases: one run for each cell, grouped by the comparison, and one with the finished page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from eqvae.training.loggers import wandb_logger

MEDIA = ("gaps", "ranks", "pose", "data", "cost_seconds", "cost_macs", "tradeoff", "weights")
Mode = Literal["offline", "online", "disabled"]


def log_cell(
    folder: str | Path,
    comparison: str,
    name: str,
    cell: Mapping[str, Any],
    row: Mapping[str, Any],
    mode: Mode = "offline",
    *,
    tuning: bool = False,
) -> None:
    """Log a finished cell; offline needs no account, `wandb sync` sends it later.

    Args:
        folder: where W&B's files go, in a folder of the cell's name.
        comparison: group of the runs.
        name: of the run.
        cell: design: arm, scenario, images, ...; the run's configuration.
        row: results; the run's summary.
        mode: of W&B.
        tuning: whether the cell only chose a learning rate.

    Raises:
        ValueError: if mode is "online" and no credentials are found.
    """
    run = _run(folder, comparison, name, mode)
    if run is None:
        return
    run.config.update({**cell, "place": f"{cell['scenario']}/{cell['arm']}", "tuning": tuning})
    run.summary.update({key: value for key, value in row.items() if value is not None})
    run.finish()


def log_page(folder: str | Path, comparison: str, page: str | Path, mode: Mode = "offline") -> None:
    """Log the page of a comparison with its figures, as media of one run named "report".

    Args:
        folder, comparison, mode: as for `log_cell`.
        page: atlas.html; its PNGs lie beside it, and go under the names in `MEDIA` that they begin with.
    """
    run = _run(folder, comparison, "report", mode)
    if run is None:
        return
    import wandb

    media: dict[str, list[Any]] = {}
    for file in sorted(Path(page).parent.glob("*.png")):
        key = next((key for key in MEDIA if file.stem.startswith(key)), None)
        if key is not None:
            media.setdefault(key, []).append(wandb.Image(str(file), caption=file.stem))
    run.log({**media, "page": wandb.Html(Path(page).read_text(encoding="utf-8"), inject=False)})
    run.finish()


def _run(folder: str | Path, comparison: str, name: str, mode: Mode) -> Any | None:
    own = Path(folder) / "wandb" / name
    own.mkdir(parents=True, exist_ok=True)
    logger = wandb_logger(mode, group=comparison, name=name, folder=own)
    return None if logger is None else logger.experiment
