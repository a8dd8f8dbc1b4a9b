"""A whole run from one plain configuration: prepare, fit, test, leave a folder that says it all.

<run folder>/
  config.yaml          the resolved configuration
  metrics.csv          every logged number by step
  metrics.json         the numbers of the finished run, flat, `stage/term`
  checkpoints/         best.ckpt (by val/elbo) and last.ckpt
  pictures/            reconstructions, samples, clusters, orbits
  wandb/               what W&B keeps
"""

import json
import logging
import math
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from eqvae.config import build, fill_data
from eqvae.files import write_whole
from eqvae.losses.contest import COSINES
from eqvae.registry import stored_configuration
from eqvae.threads import threads_for
from eqvae.training.checkpoint import WholeCheckpoints
from eqvae.training.checks import (
    CONFIG,
    LAST,
    METRICS,
    check_accelerator,
    check_domain,
    check_first_batch,
    check_folder,
    check_keys,
    check_optimization,
    check_whole,
    warn_of_clamped_sizes,
    warn_of_large_objects,
)
from eqvae.training.cluster import environment
from eqvae.training.divergence import Diverged, StopWhenDiverged
from eqvae.training.interruption import InterruptCheckpoint, Interrupted
from eqvae.training.last import KeepLastStep
from eqvae.training.loggers import LastingWandbLogger, MetricsCSV
from eqvae.training.module import TrainingModule
from eqvae.training.pictures import ModelPictures
from eqvae.training.prior import KeepPrior, PriorStage, fit_prior
from eqvae.training.resume import (
    TakeUp,
    check_same_data,
    checkpoint_to_resume,
    put_in_place,
)

_LIGHTNING = ("eqvae.", "pytorch_lightning.")
_OPTIMIZERS = ("eqvae.", "torch.optim.")


@dataclass(frozen=True)
class Run:
    """Everything of a run that is ready to start.

    Attributes:
        config: the resolved configuration, image size filled in.
        folder: where the run writes.
        module: model, objective and optimizer.
        datamodule: the images, already set up.
        trainer: Lightning's.
        prior_stage: what happens to the prior when training is over.
        resume_from: checkpoint to continue from, or None.
    """

    config: dict[str, Any]
    folder: Path
    module: TrainingModule
    datamodule: pl.LightningDataModule
    trainer: pl.Trainer
    prior_stage: PriorStage
    resume_from: Path | None


def prepare(config: dict[str, Any], folder: str | Path, *, resume: bool = False) -> Run:
    """Build all parts and check everything that can be checked before training starts.

    Args:
        config: plain, as `eqvae.config.compose` gives it.
        folder: of the run.
        resume: continue from the folder's last checkpoint.

    Raises:
        ValueError: if the configuration names something unknown, impossible or not on this machine, or a
            run can't be resumed with it.
        OSError: if the data are not there or the folder can't be written.
    """
    quiet_lightning()
    folder = Path(folder)
    check_keys(config)
    check_accelerator(config["trainer"])
    check_folder(folder, resume)
    pl.seed_everything(config["seed"], verbose=False)

    datamodule = build(config["data"], path="data")
    datamodule.setup()
    before = config["image"]
    config = fill_data(config, datamodule.image_shape, len(datamodule.train), datamodule.ground())
    if resume:
        check_same_data(before, config["image"], datamodule.domain.signals)
    config["data"]["source"] |= datamodule.images.settings
    module = TrainingModule(
        vae=build(config["model"], path="model"),
        objective=build(config["objective"], path="objective"),
        optimizer=build(_optimizer(config), path="optimizer", allow=_OPTIMIZERS),
        scheduler=build(config.get("scheduler"), path="scheduler", allow=_OPTIMIZERS),
        model_config=config["model"],
        seed=config["seed"],
    )
    check_domain(module, datamodule.domain)
    check_optimization(module)
    check_first_batch(module, datamodule.train)
    warn_of_large_objects(module, datamodule.train)
    warn_of_clamped_sizes(module, datamodule.train)
    trainer = _trainer(config, folder)
    for callback in trainer.callbacks:
        if isinstance(callback, ModelPictures):
            callback.check(module.vae)
    resume_from = checkpoint_to_resume(folder) if resume else None
    if resume_from is not None:
        trainer.callbacks.insert(0, TakeUp(resume_from, module, trainer, config["optimizer"]))
    return Run(
        config=config,
        folder=folder,
        module=module,
        datamodule=datamodule,
        trainer=trainer,
        prior_stage=build(config.get("prior"), path="prior") or KeepPrior(),
        resume_from=resume_from,
    )


def train(run: Run) -> dict[str, float]:
    """Fit, test the best weights, fit the prior, write metrics.json and pictures; returns the metrics.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, once the checkpoint is written; resumed, the run goes on there.
        Diverged: when the loss is no longer a number.
    """
    trainer, module, datamodule = run.trainer, run.module, run.datamodule
    _write_config(run)
    if run.resume_from is not None and trainer.is_global_zero:
        put_in_place(run.resume_from, run.folder)
    for logger in trainer.loggers:
        logger.log_hyperparams(run.config)
    began, busy = time.monotonic(), time.process_time()
    with threads_for(module, datamodule.image_shape[-1]):
        trainer.fit(module, datamodule, ckpt_path=run.resume_from, weights_only=True)
    seconds, busy = time.monotonic() - began, time.process_time() - busy

    best = next((c for c in trainer.checkpoint_callbacks if _is_best(c)), None)
    path = best.best_model_path if best is not None else None
    tested = trainer.test(
        module, datamodule, ckpt_path=path or None, weights_only=bool(path) or None, verbose=False
    )
    metrics = {name: float(value) for part in tested for name, value in part.items()}
    if not all(map(math.isfinite, metrics.values())):
        raise Diverged(trainer.global_step)
    metrics["train/epochs"] = float(trainer.fit_loop.epoch_progress.current.processed)
    metrics["train/seconds"] = seconds  # of this sitting, if the run was resumed
    metrics["train/processor_seconds"] = busy  # of this process, whatever else the machine does
    for logger in trainer.loggers:
        if isinstance(logger, MetricsCSV):
            cosines = logger.later_means(f"train/dial/{COSINES}/")
            metrics |= {f"train/{COSINES}/{name}": value for name, value in cosines.items()}
    if path:
        metrics["val/elbo"] = float(best.best_model_score)
    if trainer.is_global_zero and not trainer.fast_dev_run:
        # they are there, should the next stage be interrupted
        write_metrics(run.folder / METRICS, metrics)
        metrics |= _finish(run, Path(path) if path else run.folder / LAST)
        write_metrics(run.folder / METRICS, metrics)
    for logger in trainer.loggers:
        if isinstance(logger, LastingWandbLogger):
            logger.close(Path(path) if path else None, run.folder / CONFIG)
    return metrics


def stored_config(folder: str | Path) -> dict[str, Any]:
    """The configuration that a run folder was trained with.

    Raises:
        FileNotFoundError: if the folder holds no run that can continue.
        ValueError: if an older eqvae wrote it, with other keys, it is damaged, or names what it may not.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(
            f"resume must name a run folder; {folder} holds no {CONFIG}, "
            "so there is nothing to continue."
        )
    stored = stored_configuration(folder / CONFIG)
    check_whole(stored, str(folder / CONFIG))
    return stored


def quiet_lightning() -> None:
    """Keep Lightning's advertisements and remarks on small runs off the screen."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*`isinstance.treespec, LeafSpec.` is deprecated.*",  # Lightning 2.6 with torch 2.14
        ".*GPU available but not used.*",
        ".*your dataloader is not resumable.*",  # ours is, see skip_batches_done
        ".*The dirpath has changed from.*",
    ):
        warnings.filterwarnings("ignore", text)


def _optimizer(config: dict[str, Any]) -> dict[str, Any]:
    """Not fused in mixed precision, where Lightning 2.6 clips no gradients of fused steps."""
    mixed = str(config["trainer"].get("precision")) in ("16", "bf16", "16-mixed", "bf16-mixed")
    return {k: v for k, v in config["optimizer"].items() if not (mixed and k == "fused")}


def _trainer(config: dict[str, Any], folder: Path) -> pl.Trainer:
    callbacks = build(config["callbacks"], path="callbacks", allow=_LIGHTNING)
    callbacks = [callback for callback in callbacks.values() if callback is not None]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(folder.resolve() / "checkpoints")
    callbacks += [
        KeepLastStep(folder / LAST),
        InterruptCheckpoint(folder / LAST),
        StopWhenDiverged(),
    ]
    loggers = [MetricsCSV(folder / "metrics.csv")]
    if not config["trainer"].get("fast_dev_run") and rank_zero_only.rank == 0:
        about = {"folder": folder.resolve(), "name": config.get("name")}
        loggers += [build(config["logger"], path="logger", **about)]
    cluster = environment(config["trainer"])
    try:
        return build(
            config["trainer"],
            path="trainer",
            allow=_LIGHTNING,
            callbacks=callbacks,
            logger=[logger for logger in loggers if logger is not None],
            default_root_dir=folder.resolve(),
            plugins=[plugin for plugin in (WholeCheckpoints(), cluster) if plugin is not None],
            enable_progress_bar=False,
            use_distributed_sampler=False,  # ours share the images: see data/order.py
        )
    except MisconfigurationException as error:
        raise ValueError(f"trainer: {error}") from error


def _is_best(callback: ModelCheckpoint) -> bool:
    return callback.monitor is not None and bool(callback.best_model_path)


def _finish(run: Run, checkpoint: Path) -> dict[str, float]:
    """Fit the prior and draw what it knows; a model whose latents allow none keeps the one it has."""
    if not checkpoint.is_file():
        return {}
    began = time.monotonic()
    try:
        with threads_for(run.module, run.datamodule.image_shape[-1]):
            device = run.trainer.strategy.root_device
            model, found = fit_prior(run.prior_stage, checkpoint, run.datamodule, device=device)
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, run.folder / LAST) from None
    except ValueError as error:
        warnings.warn(f"the prior of training stays: none could be fitted, {error}", stacklevel=3)
        return {}
    if not found:
        return {}
    for logger in run.trainer.loggers:
        logger.log_metrics(found, step=run.trainer.global_step)
    for callback in run.trainer.callbacks:
        if isinstance(callback, ModelPictures):
            callback.write_prior(run.trainer, model)
    return found | {"prior/seconds": time.monotonic() - began}


def write_metrics(path: Path, metrics: dict[str, float]) -> None:
    """Write the numbers of a finished run, by name, in one step: they are never half written.

    What is no number, such as an infinite bound, is null: JSON has no word for it.
    """
    finite = {name: v if math.isfinite(v) else None for name, v in sorted(metrics.items())}
    text = json.dumps(finite, indent=2, allow_nan=False)
    write_whole(path, text + "\n")


def _write_config(run: Run) -> None:
    from omegaconf import OmegaConf

    if run.trainer.is_global_zero and not run.trainer.fast_dev_run:
        write_whole(run.folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(run.config)))
