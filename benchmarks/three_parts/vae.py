"""Adenylate kinase: one path in one pose for training, the second path at every pose for the test.

python benchmarks/three_parts/vae.py

The hard model beside a plain one, that one with augmentation, with four times the steps, and with penalties;
all by the one way of training, and measured by the suites of `scripts/evaluate.py`.
"""

import json
import time
from typing import Any

import numpy as np
from trained import AUGMENTED, trained

EPOCHS = 250  # of three steps
ARMS = {  # overrides, epochs in multiples, seeds
    "se3": (["model=se3"], 1, 3),
    "plain": (["model=plain_structures"], 1, 1),
    "plain, augmented": (["model=plain_structures", *AUGMENTED], 1, 1),
    "plain, augmented, 4x steps": (["model=plain_structures", *AUGMENTED], 4, 1),
    "plain, soft": (["model=plain_structures", "objective=elbo_soft"], 1, 1),
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
TARGETS = {"rmsd": 1.0, "content_change": 1e-6, "spearman": 0.99}


def measure(epochs: int = EPOCHS, arms: list[str] | None = None) -> dict[str, Any]:
    """A row for each arm: the mean over its seeds, each seed's values, and whether targets are met."""
    rows = []
    for name in ARMS if arms is None else arms:
        overrides, times, seeds = ARMS[name]
        begin = time.perf_counter()
        how = ["experiment=adk", *overrides, f"trainer.max_epochs={epochs * times}"]
        found = [trained(how, SHOWN, seed).scores for seed in range(seeds)]
        row = {"what": f"adenylate kinase, {name}", "seeds": seeds, "steps": 3 * epochs * times}
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


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
