"""Training: one LightningModule, its callbacks, self-contained checkpoints, and whole runs."""

from eqvae.training.checkpoint import load_vae
from eqvae.training.ema import ExponentialMovingAverage
from eqvae.training.interruption import InterruptCheckpoint, Interrupted
from eqvae.training.module import TrainingModule
from eqvae.training.pictures import PictureCallback
from eqvae.training.progress import Progress
from eqvae.training.run import Run, prepare, train

__all__ = [
    "ExponentialMovingAverage",
    "InterruptCheckpoint",
    "Interrupted",
    "PictureCallback",
    "Progress",
    "Run",
    "TrainingModule",
    "load_vae",
    "prepare",
    "train",
]
