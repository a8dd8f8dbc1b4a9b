"""Tiny runs for the tests of training: generated shapes, seconds, every family."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from eqvae.config import CONFIG_DIR, compose
from eqvae.training.run import Run, prepare, stored_config

STRUCTURES = ("se3", "plain_structures")  # their data are no images: tests/three/test_vae_run.py
FAMILIES = sorted(
    file.stem for file in (CONFIG_DIR / "model").glob("[!_]*.yaml") if file.stem not in STRUCTURES
)
TINY = [
    "experiment=smoke",
    "logger=none",
    "data.source.num_images=100",
    "data.batch_size=20",
    "trainer.accelerator=cpu",
    "trainer.num_sanity_val_steps=0",
    "prior=normal",
]
NO_PICTURES = "~callbacks.pictures"
SOFT = ("projected", "relaxed", "relaxed_layers")  # families whose soft layers need their price
LATENTS = {"pose": "pose"}  # of the families that take no other
_BOTH = ("encoder", "decoder")
_HARMONIC = [f"model.{part}.{part}.hidden=8" for part in _BOTH]
NARROW = {  # what keeps each family small: the laws of training do not depend on the width
    "harmonic": [f"model.{part}.hidden=8" for part in _BOTH],
    "steerable": [f"model.{part}.{size}=8" for part in _BOTH for size in ("width", "hidden")],
    "plain": [f"model.{part}.width=8" for part in _BOTH],
    "pose": ["latent=pose", *(f"model.{part}.hidden=16" for part in _BOTH)],
    "canonicalised": [f"model.{part}.{part}.width=8" for part in _BOTH],
    "projected": _HARMONIC,
    "relaxed_layers": _HARMONIC,
    "relaxed": [*_HARMONIC, *(f"model.{part}.free.width=8" for part in _BOTH)],
}


def tiny_config(*overrides: str) -> dict[str, Any]:
    """The configuration of a narrow model on few images, with the overrides on top."""
    return deepcopy(_composed(overrides))


@cache  # composing takes as long as training an epoch
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    family = dict(choice.split("=", 1) for choice in overrides if "=" in choice).get("model")
    return compose([*TINY, *NARROW[family or "harmonic"], *overrides])


def tiny_run(folder: Path, *overrides: str) -> Run:
    return prepare(tiny_config(*overrides), folder)


def resumed(folder: Path) -> Run:
    return prepare(stored_config(folder), folder, resume=True)
