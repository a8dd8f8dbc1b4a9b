"""Modularity and explicitness: stated values, and noise that must not look modular."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from eqvae.metrics.disentanglement.explicitness import _areas, explicitness
from eqvae.metrics.disentanglement.modularity import block_modularity, modularities, modularity
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from tests.metrics.disentanglement.codes import block_code, information

STATED = {"axis": 1.0, "axis_noise": 0.826, "se2": 1.0, "se2_xy45": 0.919, "noise": 0.665}


@pytest.mark.parametrize("name", STATED)
def test_stated_values_per_column(name: str) -> None:
    reference = reference_codes(name)
    score = modularity(reference.codes, reference.factors, resamples=2)["modularity"]
    assert float(score) == pytest.approx(STATED[name], abs=0.01)
    assert score.floor > 0.6  # what noise reads stands beside it


def test_dead_codes_count_as_nothing_per_column() -> None:
    np.testing.assert_allclose(modularities(np.array([[0.0, 0.0], [1.0, 0.0]])), [0, 1])


def test_noise_blocks_are_left_out_and_noise_alone_is_null() -> None:
    def measured(name: str):
        reference = block_code(name)
        options = {"blocks": reference.blocks, "information": information(name), "resamples": 10}
        return block_modularity(reference.codes, reference.block_factors, **options)["modularity"]

    assert float(measured("axis_noise")) > 0.99
    score = measured("noise")
    assert score.value is None and "no block knows more" in score.reason


def test_areas_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    probability, truth = generator.random((100, 3)).round(1), generator.integers(3, size=100)
    expected = [roc_auc_score(truth == c, probability[:, c]) for c in range(3)]
    np.testing.assert_allclose(_areas(probability, truth, np.arange(3)), expected)


def test_explicitness_is_blind_to_every_basis() -> None:
    scores = {}
    for name in ("se2", "mix", "noise"):
        reference = reference_codes(name, n=900)
        classes = {f: reference.factors[f] for f in ("shape", "scale")}
        options = {} if name == "noise" else {"blocks": reference.blocks}
        scores[name] = explicitness(reference.codes, classes, **options)["explicitness"]
    assert float(scores["se2"]) > 0.9 and float(scores["mix"]) > 0.9
    assert float(scores["noise"]) == pytest.approx(0.5, abs=0.06)


def test_null() -> None:
    reason = modularity(np.eye(4), {"v": np.arange(4)})["modularity"].reason
    assert reason == "modularity needs two factors that vary"
    assert explicitness(np.ones((50, 1)), {"v": np.arange(50) % 2})["explicitness"].value is None


def test_a_constant_factor_is_no_second_factor():
    noise = reference_codes("noise", n=500)
    factors = {"shape": noise.factors["shape"], "constant": np.zeros(500, int)}
    assert modularity(noise.codes, factors)["modularity"].reason.endswith("two factors that vary")
