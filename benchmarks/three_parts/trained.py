"""A model of structures by the one way of training, and its scores by suites of `scripts/evaluate.py`."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eqvae.config import build, compose
from eqvae.evaluation.evaluate import evaluate
from eqvae.evaluation.held_out import HeldOut
from eqvae.models.model import Model
from eqvae.three.vae import StructureDataModule
from eqvae.three.vae.suites import SUITES
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import prepare, train

AUGMENTED = (
    "objective._target_=eqvae.losses.augment.AugmentedObjective",
    "+objective.symmetry=${symmetry}",
    "+objective.shift=0.0",  # structures are centred; turned ones are what is asked for
)
_SUITES = ("reconstruction", "content", "pose", "equivariance")


@dataclass(frozen=True)
class Trained:
    """A trained model, the same with the prior of training, data, and scores of the test split by name."""

    model: Model
    unfitted: Model
    data: StructureDataModule
    scores: dict[str, float]


def trained(overrides: Sequence[str], shown: Mapping[str, str], seed: int) -> Trained:
    """Train in a folder that is not kept, and measure.

    Args:
        overrides: of the configuration.
        shown: name -> score of a suite, such as "reconstruction/rmsd/turned".
        seed: of the training and of the motions in the test.
    """
    how = [*overrides, "logger=none", "trainer.accelerator=cpu", f"seed={seed}"]
    how += ["~callbacks.pictures", "~callbacks.progress"]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = compose(how)
        metrics = train(prepare(config, folder))
        model, unfitted = (load_vae(Path(folder), fitted=which) for which in (True, False))
        data = build(config["data"], path="data")
        data.setup()
        suites = {name: SUITES[name] for name in _SUITES}
        values = evaluate(HeldOut.of(model, data, seed=seed), suites=suites).values
    scores = {key: values[name] for key, name in shown.items() if name in values}
    scores["parameters"] = sum(p.numel() for p in model.parameters())
    scores |= {"elbo": metrics["test/elbo"], "train_seconds": metrics["train/seconds"]}
    if "test/prior_gap" in metrics:
        scores |= {"prior_gap": metrics["test/prior_gap"]}
    return Trained(model, unfitted, data, scores)
