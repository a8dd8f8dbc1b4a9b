"""eqvae: variational autoencoders whose latents move with the object.

The names below are all that most users need; parts live in the submodules of the same idea.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("eqvae")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0"

_HOME = {
    "Representation": "eqvae.symmetry",
    "PlaneMotions": "eqvae.symmetry",
    "Batch": "eqvae.data.batch",
    "VAE": "eqvae.models.vae",
    "Model": "eqvae.models.model",
    "SquareGrid": "eqvae.domains",
    "embed": "eqvae.embedding",
    "load_vae": "eqvae.training.checkpoint",
    "motion": "eqvae.symmetry",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch and escnn take seconds, `--help` should not."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'eqvae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
