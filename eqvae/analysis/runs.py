"""Find finished runs, and train what is missing: what notebooks start with."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from eqvae.config import build, compose
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import LAST, prepare, stored_config, train
from eqvae.vae import VAE


def newest_run(root: str | Path = "runs", name: str = "*") -> Path | None:
    """The folder <root>/<name>/<date> of the run that finished last; None if there is none.

    Args:
        root: where runs are kept.
        name: of the run, or a pattern such as "harmonic-*".
    """
    finished = Path(root).glob(f"{name}/*/metrics.json")
    newest = max(finished, key=lambda path: path.stat().st_mtime, default=None)
    return newest.parent if newest else None


def load_or_train(folder: str | Path, overrides: Sequence[str] = ()) -> VAE:
    """The model of a run folder; if there is none yet, train it there first, or to its end.

    Args:
        folder: of the run.
        overrides: what would follow `scripts/train.py`, such as ["model=plain"].

    Raises:
        ValueError: if an override is unknown.
        OSError: if the folder can't be written.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        begun = (folder / LAST).is_file()
        config = stored_config(folder) if begun else compose(overrides)
        train(prepare(config, folder, resume=begun))
    return load_vae(folder)


def results_of(folder: str | Path) -> dict[str, float]:
    """What a finished run measured, by name: its metrics.json."""
    return json.loads((Path(folder) / "metrics.json").read_text())


def held_out_images(folder: str | Path, n: int) -> Tensor:
    """The first test images of a run's data, (n, C, H, H)."""
    datamodule = build(stored_config(folder)["data"], path="data")
    datamodule.setup()
    return datamodule.test.images[:n]
