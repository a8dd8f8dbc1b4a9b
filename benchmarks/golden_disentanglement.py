"""Scores of MIG, SAP, modularity and DCI that public implementations gave, and what ours give.

The codes are `eqvae.metrics.reference_codes`. The random basis of the stated `mix` values is not recorded, so
the scores of a random mix depend on it a lot (standard deviation 0.06 of MIG over draws), so those rows have
wide tolerances.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from eqvae.metrics.disentanglement.dci import dci, tree_importance
from eqvae.metrics.disentanglement.histograms import histogram_bins, table_information
from eqvae.metrics.disentanglement.importance import disentanglement_completeness
from eqvae.metrics.disentanglement.mig import mig
from eqvae.metrics.disentanglement.modularity import modularity
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.sap import sap

Check = tuple[str, float, float, float]

# stated MIG with five factors and without the shape, SAP discrete and continuous, modularity
STATED = {
    "axis": (0.896, 0.870, 0.213, 1.0, 1.0),
    "axis_noise": (0.895, 0.870, 0.209, 1.0, 0.826),
    "se2": (0.737, 0.673, 0.172, 0.919, 1.0),
    "se2_xy45": (0.402, 0.253, 0.163, 0.523, 0.919),
    "se2_harmonic": (0.737, 0.673, 0.169, 0.889, 1.0),
    "half_turn": (0.736, 0.672, 0.176, 0.830, 1.0),
    "mix": (0.096, 0.082, 0.050, 0.162, 0.883),
    "noise": (0.000, 0.000, 0.005, 0.000, 0.665),
}
# Two random draws of 10,000 samples apart. The accuracy of the support vector machines hangs on the units of
# the codes, which are not recorded: 0.18 to 0.24 for `axis` in [0, 1], pixels or standard deviations.
TOLERANCES = (0.002, 0.002, 0.06, 0.005, 0.01)
MIX_TOLERANCES = (0.05, 0.05, 0.06, 0.15, 0.05)
COLUMNS = ("MIG", "MIG without shape", "SAP discrete", "SAP continuous", "modularity")
STATED_DCI = {
    "axis": (1.0, 1.0, 1.0),
    "se2": (1.0, 0.923, 1.0),
    "se2_xy45": (0.73, 0.67, 0.81),
    "mix": (0.19, 0.18, 0.46),
}
STATED_BLOCK_FOREST = {"se2": (1.0, 1.0), "se2_xy45": (0.92, 0.92), "mix": (0.09, 0.15)}


def golden_checks(expensive: bool = False) -> list[Check]:
    """(name, measured, stated, tolerance) of every golden value; expensive adds boosted trees, minutes."""
    checks = _table() + _details()
    if expensive:
        for name, stated in STATED_DCI.items():
            wide = 0.12 if name == "mix" else 0.02
            for letter, value, known in zip("DCI", golden_dci(name), stated, strict=True):
                checks.append((f"DCI {letter} {name}", value, known, wide))
        for name, stated in STATED_BLOCK_FOREST.items():
            for letter, value, known in zip("DC", block_forest(name), stated, strict=True):
                checks.append(
                    (
                        f"block DCI {letter} of forests {name}",
                        value,
                        known,
                        0.1 if name == "mix" else 0.04,
                    )
                )
    return checks


def golden_dci(name: str) -> tuple[float, float, float]:
    """D, C and I by gradient-boosted trees on 2,000 samples, tested on 1,000; one to two minutes."""
    reference = reference_codes(name, n=3000)
    scores = dci(reference.codes, reference.factors, train=2000, test=1000)
    return tuple(float(score) for score in scores.values())


def block_forest(name: str) -> tuple[float, float]:
    """D and C of forest importances on 4,000 samples, summed over blocks, x and y being one factor.

    The settings of the forest behind the stated values are not recorded; trees that see every column at
    every split come near.
    """
    reference = reference_codes(name, n=4000)
    labels = np.stack(list(reference.factors.values()), axis=1)
    trees = RandomForestClassifier(max_features=None, min_samples_leaf=5, random_state=0)
    one = slice(0, 1)
    importance, _ = tree_importance(
        reference.codes, labels, reference.codes[one], labels[one], trees
    )
    by_block = np.stack([importance[c].sum(axis=0) for c in reference.blocks.values()])
    position = by_block[:, 3:].sum(axis=1, keepdims=True)
    return disentanglement_completeness(np.concatenate([by_block[:, :3], position], axis=1))


def _table() -> list[Check]:
    checks = []
    for name, stated in STATED.items():
        reference = reference_codes(name)
        with_shape = mig(reference.codes, reference.factors, resamples=2)
        parts = [float(with_shape[f"mig/{f}"]) for f in reference.factors if f != "shape"]
        more = reference_codes(name, n=15_000)
        predicted = sap(more.codes, more.factors)
        values = (
            float(with_shape["mig"]),
            float(np.mean(parts)),
            float(predicted["discrete"]),
            float(predicted["continuous"]),
            float(modularity(reference.codes, reference.factors, resamples=2)["modularity"]),
        )
        tolerances = MIX_TOLERANCES if name == "mix" else TOLERANCES
        for column, value, known, tolerance in zip(
            COLUMNS, values, stated, tolerances, strict=True
        ):
            checks.append((f"{column} {name}", value, known, tolerance))
    return checks


def _details() -> list[Check]:
    axis, se2 = reference_codes("axis"), reference_codes("se2")
    parts = mig(axis.codes, axis.factors, resamples=2)
    checks = [
        ("MIG axis, orientation", float(parts["mig/orientation"]), 0.80, 0.005),
        ("MIG axis, x", float(parts["mig/x"]), 0.84, 0.005),
        ("MIG axis, y", float(parts["mig/y"]), 0.84, 0.005),
    ]
    pair = mig(se2.codes, se2.factors, resamples=2)["mig/orientation"]
    checks.append(("MIG gap of (cos, sin)", float(pair), 0.01, 0.005))
    far = (axis.codes - axis.codes.mean(axis=0)) / axis.codes.std(axis=0)
    far[0] *= 30
    outlier = mig(far, axis.factors, resamples=2)["mig"]
    checks.append(("MIG axis, one outlier x30", float(outlier), 0.356, 0.01))
    for n, bins, stated, tolerance in (
        (1000, 20, 0.095, 0.01),
        (1000, 100, 0.34, 0.02),
        (10_000, 20, 0.011, 0.002),
        (10_000, 100, 0.046, 0.005),
    ):
        noise = reference_codes("noise", n=n)
        labels = np.stack(list(noise.factors.values()), axis=1)
        entropy = np.diag(table_information(labels, labels))
        share = table_information(histogram_bins(noise.codes, bins), labels) / entropy
        checks.append(
            (f"largest information of noise, n={n}, {bins} bins", share.max(), stated, tolerance)
        )
    return checks


if __name__ == "__main__":
    for name, measured, stated, tolerance in golden_checks():
        verdict = "ok" if abs(measured - stated) <= tolerance else "DIFFERS"
        print(f"{name:45s} {measured:8.4f} {stated:8.3f} +-{tolerance:.3f} {verdict}")
