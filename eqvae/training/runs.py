"""Find finished runs, load them with their data, and train what is missing: for scripts and notebooks."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqvae.config import TARGET, build, compose
from eqvae.data import ImageDataModule
from eqvae.data.batch import Batch
from eqvae.domains import HexagonalGrid
from eqvae.models.model import Model
from eqvae.overrides import values
from eqvae.registry import stored_configuration
from eqvae.renamed import check_overrides
from eqvae.stored import read_json
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import LAST, prepare, stored_config, train


@dataclass
class Subject:
    """A trained model and the data that something is to be done with.

    Attributes:
        name: of the run.
        checkpoint: what was asked for, a file or a run folder.
        folder: of the run.
        model: in eval mode.
        data: set up.
        data_config: what `data` was built from.
    """

    name: str
    checkpoint: Path
    folder: Path
    model: Model
    data: ImageDataModule
    data_config: dict[str, Any]


def subject_of(
    checkpoint: str | Path, overrides: Sequence[str] = (), *, fitted: bool = True
) -> Subject:
    """A model with its run's own data, or with others.

    Args:
        checkpoint: a .ckpt file, or a run folder (its best checkpoint).
        overrides: of the data, such as ["data/pose=upright"] or ["data=folder", "data.source.path=images"].
        fitted: with the prior that was fitted after training, see `load_vae`.

    Raises:
        FileNotFoundError: if there is no such checkpoint, or no such data.
        ValueError: if an override is unknown or the images have another size than the model's.
    """
    checkpoint = Path(checkpoint)
    model = load_vae(checkpoint, fitted=fitted)
    folder = run_folder(checkpoint)
    config = data_config(folder, overrides)
    if isinstance(model.domain, HexagonalGrid):  # other data are brought onto the model's lattice
        sensor = {TARGET: "eqvae.data.HexagonalSensor", "spacing": model.domain.spacing}
        config.setdefault("sensor", sensor)
    data = build(config, path="data")
    data.setup()
    check_fits(data, model)
    return Subject(run_name(folder), checkpoint, folder, model, data, config)


def check_fits(data: ImageDataModule, model: Model) -> None:
    """Refuse data that are not of the size that a model was trained on, or structures in place of images.

    Raises:
        ValueError: if they are not.
    """
    wanted, given = model.domain.signals, data.domain.signals
    if wanted != given:
        raise ValueError(
            f"data must be {wanted} as the model was trained on; got {given}. Leave data out for the run's "
            "own."
        )
    if math.isinf(model.domain.radius) and data.image_shape != model.image_shape:
        raise ValueError(
            f"data must be structures of {model.image_shape[1]} atoms as the model was trained on; got "
            f"{data.image_shape[1]}. Choose atoms with data.source.atom or data.source.chains."
        )
    if data.image_shape != model.image_shape:
        channels, size, _ = model.image_shape
        raise ValueError(
            f"data must be images as the model was trained on, {channels} channel(s) of {size} px; got "
            f"{data.image_shape[0]} of {data.image_shape[1]} px. Set data.pose.size={size} if the size "
            "differs."
        )


def run_folder(checkpoint: str | Path) -> Path:
    """The run folder that a checkpoint lies in, or that it is."""
    checkpoint = Path(checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    return folder.parent if folder.name == "checkpoints" else folder


def run_name(folder: Path) -> str:
    """What a run is called: NAME of runs/NAME/<date>_<time>, else its folder's own name."""
    folder = folder.resolve()
    dated = re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?", folder.name)
    return folder.parent.name if dated else folder.name


def data_config(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The run's own data with the overrides applied; other data, if there is a `data=CHOICE`.

    Raises:
        ValueError: if an override is unknown, or the folder does not say what its data are.
    """
    from omegaconf import OmegaConf

    stored = folder / "config.yaml"
    if any(o.startswith("data=") for o in overrides):
        return compose(overrides)["data"]
    if not stored.is_file():
        raise ValueError(
            f"{folder} holds no config.yaml; say which data to use, as in data=mnist5k."
        )
    whole = stored_configuration(stored)
    check_overrides(overrides)
    if not all(isinstance(part, dict) for part in _data_of(whole)):
        raise ValueError(
            f"{stored} does not say what data the model was trained on; say which to use, as in data=mnist5k."
        )
    config = OmegaConf.create(whole["data"])
    for override in overrides:
        key = override.partition("=")[0]
        if key.startswith("data/"):
            part = key.removeprefix("data/")
            chosen = compose([override])["data"][part]
            if part == "pose" and "size" in chosen:  # the images keep their size
                chosen["size"] = config.pose.get("size")
            config[part] = chosen
        elif OmegaConf.select(config, key.removeprefix("data."), default="???") == "???":
            raise ValueError(f"{key} is not in the run's data; it has {', '.join(config)}.")
        else:
            OmegaConf.update(config, key.removeprefix("data."), values([override])[key])
    return OmegaConf.to_container(config)


def _data_of(config: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A stored configuration's data, their source and their poses, where it has them."""
    data = config.get("data")
    return (data, data.get("source"), data.get("pose")) if isinstance(data, dict) else (data,) * 3


def newest_run(root: str | Path = "runs", name: str = "*") -> Path | None:
    """The folder <root>/<name>/<date> of the run that finished last; None if there is none.

    Args:
        root: where runs are kept.
        name: of the run, or a pattern such as "harmonic-*".
    """
    finished = Path(root).glob(f"{name}/*/metrics.json")
    newest = max(finished, key=lambda path: path.stat().st_mtime, default=None)
    return newest.parent if newest else None


def load_or_train(folder: str | Path, overrides: Sequence[str] = ()) -> Model:
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
    return read_json(Path(folder) / "metrics.json")


def held_out_images(folder: str | Path, n: int) -> Batch:
    """The first n test images of a run's data."""
    datamodule = build(stored_config(folder)["data"], path="data")
    datamodule.setup()
    return datamodule.test[:n]
