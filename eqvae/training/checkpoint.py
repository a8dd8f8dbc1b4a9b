"""Checkpoints: what is inside, and how a model comes back from one alone.

A checkpoint is Lightning's, with additions under names of ours: `hyper_parameters` holds {"eqvae_version",
"format", "model"}, the model's resolved configuration as plain dicts, `ema` the averaged weights where a
run kept them, and `prior` {"config", "weights"} of the prior that was fitted when training was over, if one
was. Reading never runs code from the file: torch loads tensors and numbers only, and of the configuration
only classes that eqvae defines are built.
"""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

import eqvae
from eqvae.config import build, with_defaults
from eqvae.files import written
from eqvae.models.model import Model
from eqvae.registry import check_parts
from eqvae.stored import check_plain
from eqvae.training.strangers import (
    check_archive,
    check_counts,
    check_tensors,
    no_more_weights_than,
    within_budget,
)
from eqvae.training.upgrade import upgraded

FORMAT = 2
DESCRIPTION = "hyper_parameters"  # Lightning's name for what rebuilds a module
AVERAGED = "ema"
PRIOR = "prior"
PREFIX = "vae."  # of the model's weights among the training module's


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole at every moment: written beside their place, then renamed.

    Lightning 2.6 writes into TMPDIR, from where a checkpoint is copied if that is another file system.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(checkpoint, Path(path))


def write_whole(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint in one step: it is never half written under its name."""
    with written(path) as partial, partial.open("wb") as file:
        torch.save(checkpoint, file)


def describe(model_config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint must hold to rebuild its model: versions and the full plain configuration."""
    return {
        "eqvae_version": eqvae.__version__,
        "format": FORMAT,
        "model": with_defaults(model_config, path="model"),
    }


def weights(module: nn.Module) -> dict[str, Tensor]:
    """The state dict without what escnn derives from it.

    escnn 1.0.11 adds `filter`, `expanded_bias` and `matrix` in eval mode and forgets them in train
    mode, so that a model saved in one mode does not load in the other. Saving goes through here,
    loading through `load_weights`; both can go when escnn makes those buffers non-persistent.
    """
    training = module.training
    module.train()  # also drops what escnn registers at construction
    state = {name: value.detach() for name, value in module.state_dict().items()}
    module.train(training)
    return state


def load_weights(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load what `weights` gave, and let eval mode derive its filters from the new values."""
    training = module.training
    module.train()
    module.load_state_dict(state)
    module.train(training)


def find_checkpoint(path: str | Path) -> Path:
    """The file itself, or the best (else last) checkpoint of a run folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    for folder in (path / "checkpoints", path):
        for name in ("best.ckpt", "last.ckpt"):
            if (folder / name).is_file():
                return folder / name
    if path.is_dir():
        raise FileNotFoundError(
            f"path must be a checkpoint or a run folder; {path} holds no .ckpt."
        )
    raise FileNotFoundError(f"path must be a checkpoint or a run folder; {path} does not exist.")


def read_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """The checkpoint's tensors and plain values, checked to be one of ours.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds anything but tensors and plain values, is not eqvae's or
            has another format.
    """
    path = find_checkpoint(path)
    check_archive(path)
    try:
        with within_budget(path):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # of a file that was made to go wrong
        raise _damaged(path) from error
    check_tensors(checkpoint, path)
    described = checkpoint.get(DESCRIPTION) if isinstance(checkpoint, dict) else None
    if not isinstance(described, dict) or "format" not in described:
        raise ValueError(
            f"{path} is not an eqvae checkpoint: it does not say how to rebuild a model."
        )
    if described["format"] not in (1, FORMAT):
        raise ValueError(
            f"{path} has checkpoint format {described['format']!r}, written by eqvae "
            f"{described.get('eqvae_version')}; this is eqvae {eqvae.__version__}, which reads "
            f"formats 1 and {FORMAT}. Load it with that version."
        )
    _check_kinds(checkpoint, path)
    return _on(checkpoint, map_location)


def _on(content: Any, device: str | torch.device) -> Any:
    """Nested dicts and lists with their tensors on a device; of the CPU they are there already."""
    if str(device) == "cpu":
        return content
    if isinstance(content, Tensor):
        return content.to(device)
    if isinstance(content, dict):
        return type(content)((key, _on(part, device)) for key, part in content.items())
    return [_on(part, device) for part in content] if isinstance(content, list) else content


def _check_kinds(checkpoint: dict[str, Any], path: Path) -> None:
    """Weights are tensors by name; a file from elsewhere may hold anything under their key."""
    for key in ("state_dict", AVERAGED):
        part = checkpoint.get(key, {})
        if not isinstance(part, dict) or not all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in part.items()
        ):
            raise ValueError(f"{path} is damaged: its {key} must hold tensors by their names.")


def load_vae(
    path: str | Path, map_location: str | torch.device = "cpu", *, fitted: bool = True
) -> Model:
    """Rebuild a trained model from its checkpoint alone, in eval mode.

    Averaged weights are taken where the run kept them.

    Args:
        path: a .ckpt file, or a run folder (its best checkpoint).
        map_location: device for the weights.
        fitted: with the prior that was fitted after training, where there is one; else with that of training.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it is damaged, of another format, asks for anything that eqvae does not
            define, or its weights do not fit its configuration.

    Example:
        vae = eqvae.load_vae("runs/harmonic-mnist5k/2026-01-31_12-00-00")
        images = vae.sample(16)
    """
    path = find_checkpoint(path)
    checkpoint = read_checkpoint(path, map_location)
    description = _description(checkpoint, path)
    try:
        # a constructor's draws of weights are replaced below; leave the caller's random state alone
        with (
            torch.random.fork_rng(devices=[]),
            within_budget(path),
            no_more_weights_than(checkpoint.get("state_dict", {}), path),
        ):
            vae = build(description, path="model", constructors_only=True)
    except Exception as error:  # a stranger's description may go wrong in any way
        raise ValueError(f"{path} can't be rebuilt: {error}") from error
    if not isinstance(vae, Model):
        raise ValueError(
            f"{path} can't be rebuilt: its model is a {type(vae).__name__}, not a Model."
        )
    vae.to(map_location)
    state = checkpoint.get("state_dict", {})
    state = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    try:
        load_weights(vae, {**state, **checkpoint.get(AVERAGED, {})})
    except RuntimeError as error:
        first = _last_line(error)
        raise ValueError(
            f"{path} can't be rebuilt: its weights do not fit its model ({first})."
        ) from error
    if fitted and PRIOR in checkpoint:
        vae.prior = _fitted_prior(checkpoint[PRIOR], vae, path).to(map_location)
    return vae.eval()


def store_prior(path: str | Path, prior: nn.Module) -> None:
    """Put a fitted prior into a checkpoint, in place of the one that was there before, if any.

    Args:
        path: of the checkpoint; it is replaced in one step, so that it is never half written.
        prior: with a `description()` that `build` understands.
    """
    path = find_checkpoint(path)
    checkpoint = read_checkpoint(path)
    state = {name: value.detach().cpu() for name, value in prior.state_dict().items()}
    checkpoint[PRIOR] = {"config": prior.description(), "weights": state}
    write_whole(checkpoint, path)


def has_prior(path: str | Path) -> bool:
    """Whether a checkpoint holds a fitted prior."""
    return PRIOR in read_checkpoint(path)


def _fitted_prior(stored: dict[str, Any], vae: Model, path: Path) -> nn.Module:
    try:
        check_parts(stored["config"], str(path), "prior")
        check_counts(stored["config"], path)
        with within_budget(path), no_more_weights_than(stored["weights"], path):
            prior = build(stored["config"], path="prior", constructors_only=True)
        prior.load_state_dict(stored["weights"])
    except Exception as error:  # as above
        first = _last_line(error)
        raise ValueError(
            f"{path} can't be rebuilt: its fitted prior is damaged ({first}). "
            "Fit it again with scripts/fit_prior.py again=true."
        ) from error
    if getattr(prior, "representation", None) != vae.representation:
        raise ValueError(
            f"{path} can't be rebuilt: its fitted prior is of latents "
            f"{getattr(prior, 'representation', None)}, its model's are {vae.representation}. "
            "Fit it again with scripts/fit_prior.py again=true."
        )
    return prior.requires_grad_(False)


def _description(checkpoint: dict[str, Any], path: Path) -> Any:
    """Of the model, in the words of today's format, and of parts that a stored one may name."""
    described = checkpoint[DESCRIPTION]
    model = described.get("model")
    check_plain(model, str(path), "model")
    try:
        model = upgraded(model) if described["format"] == 1 else model
    except Exception as error:  # of anything but a description
        raise ValueError(f"{path} can't be rebuilt: {error}") from error
    check_parts(model, str(path), "model")
    check_counts(model, path)
    return model


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path} can't be read as a checkpoint: it is damaged or cut short.")
