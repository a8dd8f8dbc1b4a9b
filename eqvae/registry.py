"""Which parts a stored configuration may name: what a run is made of, and nothing else.

A configuration that was found in a run folder, an embedding or a checkpoint may be a stranger's. It may
only name classes of the rooms in `ROOMS`, callbacks of `eqvae.training`, the few in `NAMED`, and torch's
optimizers and schedulers: none of them runs a command, writes or reaches the network when it is made.
Functions are none of them but for the three of `FUNCTIONS`. What the user types may name any constructor of
eqvae, and a part that the user has added to one of these rooms is as good as eqvae's own.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from eqvae.config import TARGET, resolve
from eqvae.renamed import check_stored
from eqvae.stored import check_plain, nodes, read_yaml

ROOMS = tuple(
    f"eqvae.{room}."
    for room in (
        "symmetry domains nn distributions models losses pose data three.points three.vae".split()
    )
)
NAMED = (
    *("eqvae.training.prior.FitOrbitPrior", "eqvae.training.prior.KeepPrior"),
    "pytorch_lightning.Trainer",
    *(
        f"pytorch_lightning.callbacks.{name}"
        for name in ("ModelCheckpoint", "EarlyStopping", "LearningRateMonitor", "ModelSummary")
    ),
    *(
        f"pytorch_lightning.callbacks.{name}"
        for name in ("GradientAccumulationScheduler", "StochasticWeightAveraging", "Timer")
    ),
)
FUNCTIONS = (
    *("eqvae.training.schedules.constant", "eqvae.training.schedules.cosine"),
    "eqvae.training.loggers.wandb_logger",
)
_OPTIMIZERS = "torch.optim."
_FORMATS = "eqvae.data.formats."  # readers of files, which sources call
_KNOWN_TRAINER = frozenset(
    "max_epochs min_epochs max_steps min_steps max_time accelerator devices num_nodes strategy precision "
    "deterministic benchmark gradient_clip_val gradient_clip_algorithm accumulate_grad_batches "
    "check_val_every_n_epoch val_check_interval limit_train_batches limit_val_batches limit_test_batches "
    "limit_predict_batches overfit_batches num_sanity_val_steps log_every_n_steps fast_dev_run "
    "enable_model_summary enable_checkpointing detect_anomaly inference_mode use_distributed_sampler "
    "reload_dataloaders_every_n_epochs sync_batchnorm barebones model_registry".split()
)
_PLACES = ("dirpath", "default_root_dir", "save_dir", "log_dir", "weights_save_path", "run_dir")
_CALLBACKS = "eqvae.training."  # with what users add; not those that take a path
_WITH_PATHS = ("eqvae.training.interruption", "eqvae.training.resume")


def stored_configuration(path: str | Path) -> dict[str, Any]:
    """The plain values of a config.yaml, of which every part may be built.

    Places to write to are left out with a warning: what continues a run writes into its folder. Nothing is
    downloaded because a file says so.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, names what no stored configuration may, or an older eqvae wrote it.
    """
    config = read_yaml(path)
    check_stored(config, str(path))  # parts that are gone are told by their names of now
    check_parts(config, str(path))
    return _confined(config, str(path))


def check_parts(config: Any, place: str, key: str = "") -> None:
    """Refuse values that are not plain, and parts that are not in the registry.

    Args:
        config: nested dicts and lists.
        place: where it was found, for messages.
        key: of the configuration within that place.

    Raises:
        ValueError: with the place and the key.
    """
    check_plain(config, place, key)
    for path, node in _tables(config, key):
        if TARGET in node:
            try:
                part(node[TARGET], path)
            except ValueError as error:
                raise ValueError(f"{place} is refused: {error}") from error


def part(target: Any, path: str = "") -> Any:
    """The class behind a dotted path, or one of the few functions, if the registry has it.

    Raises:
        ValueError: if it has not.
    """
    refused = ValueError(
        f"{path + '.' if path else ''}{TARGET} is {target!r:.200}, which a stored configuration may not "
        "name: only parts of models, data, losses and training of eqvae, and torch's optimizers and "
        "schedulers."
    )
    if not isinstance(target, str):
        raise refused
    if target in FUNCTIONS:
        return resolve(target, ("eqvae.training.",), path)
    if target in NAMED:
        return resolve(target, ("eqvae.", "pytorch_lightning."), path, constructors_only=True)
    if target.startswith(_OPTIMIZERS):
        return _optimizer(target, refused)
    if target.startswith(_CALLBACKS):
        return _callback(target, path, refused)
    if not target.startswith(ROOMS):
        raise refused
    found = resolve(target, ROOMS, path, constructors_only=True)
    owner = found if isinstance(found, type) else found.__self__
    another = not isinstance(found, type) and not owner.__module__.startswith("eqvae.symmetry.")
    if another or owner.__module__.startswith(_FORMATS) or issubclass(owner, BaseException):
        raise refused
    return found


def _callback(target: str, path: str, refused: ValueError) -> Any:
    from pytorch_lightning import Callback

    found = resolve(target, (_CALLBACKS,), path, constructors_only=True)
    known = isinstance(found, type) and issubclass(found, Callback)
    if not known or found.__module__ in _WITH_PATHS:
        raise refused
    return found


def _optimizer(target: str, refused: ValueError) -> Any:
    import torch

    *module, name = target.removeprefix(_OPTIMIZERS).split(".")
    home: Any = torch.optim.lr_scheduler if module == ["lr_scheduler"] else torch.optim
    found = getattr(home, name, None) if module in ([], ["lr_scheduler"]) else None
    kinds = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
    named = isinstance(found, type) and issubclass(found, kinds) and not name.startswith("_")
    if not named or not found.__module__.startswith(_OPTIMIZERS):
        raise refused
    return found


def _confined(config: dict[str, Any], place: str) -> dict[str, Any]:
    """The configuration without places to write to and without leave to download."""
    for path, node in _tables(config):
        if node.get("download") is True:
            node["download"] = False
        if node.get(TARGET) == "pytorch_lightning.Trainer":
            _check_trainer(node, path, place)
        for name in _PLACES:
            if TARGET in node and node.get(name) is not None:
                warnings.warn(
                    f"{path}.{name}={node[name]!r} of {place} is left out: a run that continues writes into "
                    "its own folder.",
                    stacklevel=4,
                )
                node[name] = None
        if TARGET in node and isinstance(node.get("filename"), str):
            _check_file_name(node["filename"], f"{path}.filename", place)
    return config


def _check_trainer(node: dict[str, Any], path: str, place: str) -> None:
    """Of the trainer only plain settings are stored: no plugins, profilers or loggers."""
    for name, value in node.items():
        if name in _PLACES or name == TARGET:
            continue
        if value is not None and (
            name not in _KNOWN_TRAINER or (isinstance(value, dict) and name != "max_time")
        ):
            raise ValueError(
                f"{place} is refused: {path}.{name} is no plain setting of the trainer. Remove it there."
            )


def _check_file_name(value: str, path: str, place: str) -> None:
    parts = {*PurePosixPath(value).parts, *PureWindowsPath(value).parts}
    rooted = PurePosixPath(value).is_absolute() or PureWindowsPath(value).anchor
    if ".." in parts or rooted or value.startswith("~") or "\x00" in value:
        raise ValueError(
            f"{place} is refused: {path}={value!r:.200} leaves the run folder. Use a plain name."
        )


def _tables(config: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for path, value, _ in nodes(config, key):
        if isinstance(value, dict):
            yield path, value
