"""Scores of the independent library `disent` on given codes, run by the Python it is installed in.

    python benchmarks/disent_agreement.py codes.npz scores.json

The environment needs `disent` 0.8 (`--no-deps`), numpy, scipy, scikit-learn, tqdm, torch, lightning, pillow,
deprecated and h5py. It is a development tool: nothing in eqvae imports it. The input holds

    train_codes (N, D), train_factors (N, F)    and, for DCI and discrete SAP, test_codes, test_factors
    measures                                    names to compute: mig, sap, sap_continuous, dci
    seed                                        of NumPy's global generator, all the seed the library takes

and the output maps names to scores.
"""

import json
import sys
from importlib.machinery import ModuleSpec
from unittest.mock import MagicMock

import numpy as np


def scores(codes: dict[str, np.ndarray]) -> dict[str, float]:
    """Disent's scores of the arrays described above."""
    from disent.metrics._dci import _compute_dci
    from disent.metrics._mig import _compute_mig
    from disent.metrics._sap import _compute_sap

    train = codes["train_codes"].T, codes["train_factors"].T
    test = (codes["test_codes"].T, codes["test_factors"].T) if "test_codes" in codes else train
    measures = {str(name) for name in codes["measures"]}
    np.random.seed(int(codes.get("seed", 0)))  # noqa: NPY002 - the only seed the library reads
    found = {}
    if "mig" in measures:
        found["mig"] = _compute_mig(*train)["mig.discrete_score"]
    if "sap" in measures:
        found["sap"] = _compute_sap(*train, *test, continuous_factors=False)["sap.score"]
    if "sap_continuous" in measures:
        score = _compute_sap(*train, *test, continuous_factors=True)["sap.score"]
        found["sap_continuous"] = score
    if "dci" in measures:
        dci = _compute_dci(*train, *test)
        found["dci_disentanglement"] = dci["dci.disentanglement"]
        found["dci_completeness"] = dci["dci.completeness"]
        found["dci_informativeness"] = dci["dci.informativeness_test"]
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: disent_agreement.py codes.npz scores.json")
    # disent imports its image data sets beside its measures; measures on arrays need none of that
    for name in ("", ".datasets", ".transforms", ".transforms.functional", ".utils", ".models"):
        sys.modules["torchvision" + name] = MagicMock(
            __spec__=ModuleSpec("torchvision" + name, None)
        )
    with np.load(sys.argv[1]) as stored, open(sys.argv[2], "w") as out:
        json.dump(scores(dict(stored)), out, indent=1)
