"""What can be checked of a run before it trains; every mistake is one sentence."""

import math
import os
import shlex
import tempfile
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.accelerators import AcceleratorRegistry
from torch import Tensor

from eqvae.data import PosedImages, StreamedImages
from eqvae.data.extent import object_radius
from eqvae.domains import Domain
from eqvae.nn.views import AdaptiveMoments
from eqvae.training.module import TrainingModule

LAST = "checkpoints/last.ckpt"  # these three are in the run folder
CONFIG = "config.yaml"
METRICS = "metrics.json"
_KEYS = (
    "arm prior symmetry latent domain harmonics model objective data optimizer scheduler trainer logger "
    "callbacks image name seed run_dir resume"
).split()

_LOOKED_AT = 200  # training images, for the sizes of their objects
_CLAMPED = 0.05  # share of them that may be clamped
_LONG_AFTER = 1_000_000  # steps, when every weight has grown in
_NEEDED = ("image", "model", "objective", "data", "optimizer", "trainer", "callbacks")


def check_keys(config: dict[str, Any]) -> None:
    """Refuse parts that no run has, and a seed that is no whole number."""
    for key in config:
        if key not in _KEYS:
            raise ValueError(
                f"{key} is not a part of the configuration. Parts: {', '.join(_KEYS)}."
            )
    if not isinstance(config["seed"], int):
        raise ValueError(f"seed must be a whole number; got {config['seed']!r}.")


def check_whole(config: dict[str, Any], place: str) -> None:
    """Refuse a stored configuration that lacks a part, as one that was cut short does.

    Args:
        config: plain.
        place: where it was found.

    Raises:
        ValueError: with the first part that is not there.
    """
    for key in _NEEDED:
        if not isinstance(config.get(key), dict):
            raise ValueError(
                f"{place} is damaged or cut short: it lacks {key}. Put back the file that the run wrote."
            )
    if "seed" not in config or "logger" not in config:
        raise ValueError(
            f"{place} is damaged or cut short: it lacks seed or logger. Put back the file that the run wrote."
        )


def check_optimization(module: TrainingModule) -> None:
    """Make optimizer and scheduler once for nothing; Lightning makes them only in training."""
    part = "optimizer"
    try:
        optimizer = module.make_optimizer(list(module.parameters()))
        part = "scheduler"
        if module.make_scheduler is not None:
            module.make_scheduler(optimizer, num_steps=1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{part}: {error}") from error


def check_first_batch(module: TrainingModule, images: PosedImages | StreamedImages) -> None:
    """Judge two examples once for nothing: parts that do not fit each other or the data show here.

    Raises:
        ValueError: if that fails, or the loss is no number.
    """
    what = module.vae.domain.signals
    try:
        with torch.random.fork_rng(devices=[]):
            loss, _ = module.objective(deepcopy(module.vae), images[:2], _LONG_AFTER)
    except Exception as error:  # of parts that were never meant for each other
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"model and objective can't judge the {what} ({why}). Leave out what was changed of model, "
            "objective or data.pose, so that they are of one size."
        ) from error
    if not loss.isfinite():
        raise ValueError(
            f"the loss of the first {what} is {loss.item()}: values of model and objective are too large or "
            "too small, such as objective.beta or model.likelihood.variance. Bring them nearer to 1."
        )


def check_domain(module: TrainingModule, domain: Domain) -> None:
    """Refuse a model of square pixels for images of a hexagonal lattice, and the other way round.

    Their arrays may be equally large, so that nothing else would show it.
    """
    kind, theirs = type(module.vae.domain).__name__, type(domain).__name__
    if kind != theirs or getattr(module.vae.domain, "spacing", 1.0) != getattr(
        domain, "spacing", 1.0
    ):
        raise ValueError(
            f"the {domain.signals} live on {domain.black}, and the model is made for "
            f"{module.vae.domain.black}. Choose both at once with domain=square, domain=hexagonal, or for "
            "structures domain=points."
        )
    module.vae.check_domain(domain)


def warn_of_large_objects(module: TrainingModule, images: PosedImages | StreamedImages) -> None:
    """Disk harmonics draw nothing beyond their disc, which shows in no other way than a poor ELBO."""
    harmonics = getattr(module.vae.decoder, "harmonics", None)
    if harmonics is None:
        return
    some = images[:: max(1, len(images) // 500)].image
    size = object_radius(some, domain=module.vae.domain)
    if size is not None and size > harmonics.radius:
        warnings.warn(
            f"image.radius leaves parts of the objects out: the model draws up to {harmonics.radius:.1f} px "
            f"from their centre, and 2 % of their squares lie beyond {size:.1f} px. Set "
            f"image.radius={math.ceil(size)}, or a larger data.pose.size if the images are too small.",
            stacklevel=3,
        )


@torch.no_grad()
def warn_of_clamped_sizes(module: TrainingModule, images: PosedImages | StreamedImages) -> None:
    """Sizes beyond the scales of the basis are clamped, which shows in nothing but a wrong scale."""
    clamped: list[Tensor] = []
    for part in module.vae.modules():
        if isinstance(part, AdaptiveMoments):
            hook = part.register_forward_hook(
                lambda moments, _, view: clamped.append(moments.clamped(view))
            )
            module.vae.encode(images[:: max(1, len(images) // _LOOKED_AT)])
            hook.remove()
    share = torch.cat(clamped).float().mean().item() if clamped else 0.0
    if share > _CLAMPED:
        warnings.warn(
            f"image.radius fits few of the objects: {100 * share:.0f} % of them are larger or smaller than "
            f"any scale of the basis, and their log-scales are clamped. Set image.radius to about 3 standard "
            f"deviations of an object of scale 1.",
            stacklevel=3,
        )


def check_accelerator(trainer: dict[str, Any]) -> None:
    """Refuse an accelerator that Lightning does not know or this machine does not have."""
    name = trainer.get("accelerator", "auto")
    if name == "auto":
        return
    known = sorted(AcceleratorRegistry.available_accelerators())
    kinds = ["cuda", "mps"] if name == "gpu" else [name]
    if any(kind not in known for kind in kinds):
        raise ValueError(
            f"trainer.accelerator must be auto, gpu or one of {', '.join(known)}; got {name!r}."
        )
    if not any(AcceleratorRegistry.get(kind).is_available() for kind in kinds):
        raise ValueError(
            f"trainer.accelerator={name} is not on this machine. "
            "Use trainer.accelerator=auto, which takes the best there is, or cpu."
        )


def check_folder(folder: Path, resume: bool) -> None:
    """Make the folder; refuse one that holds a run already or can't be written."""
    if not resume and ((folder / LAST).exists() or (folder / METRICS).exists()):
        raise ValueError(
            f"run_dir={folder} already holds a run. Continue it with "
            f"{shlex.quote(f'resume={folder}')}, or choose another."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"run_dir={folder} can't be written ({error.strerror or error}). "
            "Choose another place with run_dir=PATH."
        ) from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"run_dir={folder} can't be written. Choose another place with run_dir=PATH.")
