"""Tiny runs for the tests of training: generated shapes, seconds, every family."""

from pathlib import Path
from typing import Any

from eqvae.config import CONFIG_DIR, compose
from eqvae.training.run import Run, prepare, stored_config

FAMILIES = sorted(file.stem for file in (CONFIG_DIR / "model").glob("[!_]*.yaml"))
TINY = [
    "experiment=smoke",
    "logger=none",
    "data.source.num_images=100",
    "data.batch_size=20",
    "trainer.accelerator=cpu",
    "trainer.num_sanity_val_steps=0",
]
LATENTS = {
    "pose": "pose"
}  # of the families that take no other; the rest take a small steerable one
NO_PICTURES = "~callbacks.pictures"


def tiny_config(*overrides: str) -> dict[str, Any]:
    family = dict(choice.split("=", 1) for choice in overrides if "=" in choice).get("model")
    latent = [f"latent={LATENTS[family]}"] if family in LATENTS else []
    return compose([*TINY, *latent, *overrides])


def tiny_run(folder: Path, *overrides: str) -> Run:
    return prepare(tiny_config(*overrides), folder)


def resumed(folder: Path) -> Run:
    return prepare(stored_config(folder), folder, resume=True)
