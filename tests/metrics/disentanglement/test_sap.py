"""SAP: stated values of the continuous version; blocks in any basis."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.sap import block_sap, sap

CONTINUOUS = {"axis": 1.0, "se2": 0.919, "se2_xy45": 0.523, "half_turn": 0.830, "noise": 0.0}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name: str) -> None:
    reference = reference_codes(name, n=5000)
    scores = sap(reference.codes, reference.factors, train=100, test=100, resamples=2)
    assert float(scores["continuous"]) == pytest.approx(CONTINUOUS[name], abs=0.01)


def test_discrete_calls_a_perfect_code_poor_and_says_so_by_its_ceiling() -> None:
    reference = reference_codes("axis", n=2000)
    score = sap(reference.codes, reference.factors, train=1000, test=1000, resamples=2)["discrete"]
    assert float(score) == pytest.approx(0.213, abs=0.12)
    assert score.ceiling < 0.35 and abs(score.floor) < 0.02


def test_blocks_in_any_basis() -> None:
    generator = np.random.default_rng(0)
    reference = reference_codes("se2", n=3000)
    options = dict(blocks=reference.blocks, seed=1, resamples=2)
    perfect = block_sap(reference.codes, reference.block_factors, **options)["sap"]
    assert float(perfect) > 0.98 and perfect.floor < 0.02
    turned = reference.codes.copy()
    for columns in reference.blocks.values():
        turned[:, columns] = turned[:, columns] @ generator.normal(size=(len(columns),) * 2)
    again = block_sap(turned, reference.block_factors, **options)["sap"]
    assert float(again) == pytest.approx(float(perfect), abs=1e-6)
    mix = reference_codes("mix", n=3000)
    assert float(block_sap(mix.codes, mix.block_factors, **options)["sap"]) < 0.2


def test_null() -> None:
    scores = sap(np.ones((50, 2)), {"v": np.arange(50) % 3})
    assert "0 codes" in scores["discrete"].reason
    assert block_sap(np.ones((50, 2)), {"v": np.arange(50) % 3})["sap"].value is None
