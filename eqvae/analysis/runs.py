"""Find finished runs, and train what is missing: what notebooks start with."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from eqvae.config import build, compose
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import prepare, stored_config, train
from eqvae.vae import VAE


def newest_run(root: str | Path = "runs") -> Path | None:
    """The run folder below `root`, two levels deep, that trained last; None if there is none."""
    found = Path(root).glob("*/*/checkpoints/best.ckpt")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return newest.parents[1] if newest else None


def load_or_train(folder: str | Path, overrides: Sequence[str] = ()) -> VAE:
    """The model of a run folder; if there is none yet, train it there first.

    Args:
        folder: of the run.
        overrides: what would follow `scripts/train.py`, such as ["model=plain"].

    Raises:
        ValueError: if an override is unknown.
        OSError: if the folder can't be written.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        train(prepare(compose(overrides), folder))
    return load_vae(folder)


def held_out_images(folder: str | Path, n: int) -> Tensor:
    """The first test images of a run's data, (n, C, H, H)."""
    datamodule = build(stored_config(folder)["data"], path="data")
    datamodule.setup()
    return datamodule.test.images[:n]
