"""Adenylate kinase: one path in one pose for training, the second path at every pose for the test.

python benchmarks/three_parts/vae.py

The hard model beside a plain one, that one with augmentation, with four times the steps, and with penalties;
all by the one way of training, and measured by the suites of `scripts/evaluate.py`.
"""

import json
import time
from typing import Any

import numpy as np
import torch
from trained import AUGMENTED, Trained, trained

from eqvae.three.vae.suites import nearest_rmsd

EPOCHS = 250  # of three steps
SEEDS = 3
ARMS = {  # overrides, epochs in multiples
    "se3": (["model=se3"], 1),
    "plain": (["model=plain_structures"], 1),
    "plain, augmented": (["model=plain_structures", *AUGMENTED], 1),
    "plain, augmented, 4x steps": (["model=plain_structures", *AUGMENTED], 4),
    "plain, soft": (["model=plain_structures", "objective=elbo_soft"], 1),
}
SHOWN = {
    "rmsd": "reconstruction/rmsd/turned",
    "rmsd_laid_upon": "reconstruction/rmsd/turned_laid_upon",
    "content_change": "content/change/largest",
    "content_change_relative": "content/change/relative",
    "spearman": "content/opening/moved",
    "pose_degrees": "pose/kabsch/angle_median",
    "pose_angstrom": "pose/kabsch/shift_median",
    "frame_drift_degrees": "pose/frame_drift/angle_median",
    "encoder_law": "equivariance/encoder/rotation",
}
_SAMPLES = 200  # draws from a prior
_ASKED = 50  # of those and of test structures, the ones whose nearest is sought
TARGETS = {"rmsd": 1.0, "content_change": 1e-6, "spearman": 0.99}


def measure(epochs: int = EPOCHS, arms: list[str] | None = None) -> dict[str, Any]:
    """A row for each arm: the mean over its seeds, each seed's values, and whether targets are met."""
    rows = []
    for name in ARMS if arms is None else arms:
        overrides, times = ARMS[name]
        begin = time.perf_counter()
        how = ["experiment=adk", *overrides, f"trainer.max_epochs={epochs * times}"]
        ones = (trained(how, SHOWN, seed) for seed in range(SEEDS))
        found = [one.scores | samples_found(one) for one in ones]
        row = {"what": f"adenylate kinase, {name}", "seeds": SEEDS, "steps": 3 * epochs * times}
        row |= {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        row["by_seed"] = found
        row["seconds"] = round(time.perf_counter() - begin, 1)
        if name == "se3":
            row["target"] = TARGETS
            row["met"] = all(
                one["rmsd"] <= 1.0 and one["content_change"] <= 1e-6 and one["spearman"] >= 0.99
                for one in found
            )
        rows.append(row)
    return {"rows": rows}


def samples_found(one: Trained) -> dict[str, float]:
    """RMSD of samples to the nearest training structure, and of test structures to the nearest sample.

    By the fitted prior, and by that of training. A test structure's distance to the nearest training
    structure is what samples of the same distribution would have.
    """
    train, test = (part[:].image[:, 0] for part in (one.data.train, one.data.test))
    test, found = test[:_ASKED], {"nearest_held_out": float(nearest_rmsd(test, train).mean())}
    for name, model in (("fitted", one.model), ("normal", one.unfitted)):
        made = model.sample(_SAMPLES, torch.Generator().manual_seed(0))[:, 0].detach()
        found[f"nearest_samples_{name}"] = float(nearest_rmsd(made[:_ASKED], train).mean())
        found[f"covered_{name}"] = float(nearest_rmsd(test, made).mean())
    return found


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
