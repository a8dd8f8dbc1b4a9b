"""DCI: exact values of the formula, the dead code, and blocks in any basis."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from eqvae.metrics.disentanglement.block_dci import block_dci
from eqvae.metrics.disentanglement.dci import dci
from eqvae.metrics.disentanglement.importance import disentanglement_completeness
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from tests.metrics.disentanglement.codes import block_code, in_other_basis

DIAGONAL = np.diag([5.0, 1, 2, 3, 4])
LESS = 1 - np.log(2) / np.log(10)


@pytest.mark.parametrize(
    ("importance", "expected"),
    [
        (DIAGONAL, (1, 1)),
        (np.hstack([DIAGONAL, DIAGONAL]), (LESS, 1)),  # one code, two factors
        (np.vstack([DIAGONAL, DIAGONAL]), (1, LESS)),
        (np.zeros((10, 10)), (0, 0)),
        ([[1, 0], [0, 1], [0, 0]], (1, 1)),
        ([[0, 0], [1, 0], [0, 1]], (1, 1)),  # the public mistake: a loop that ends at a dead code
    ],
)
def test_formula(importance, expected) -> None:
    assert disentanglement_completeness(importance) == pytest.approx(expected, abs=1e-12)


def test_trees_find_the_axes() -> None:
    reference = reference_codes("axis", n=600)
    factors = {name: reference.factors[name] for name in ("shape", "scale")}
    scores = dci(reference.codes, factors, train=400, test=200)  # boosted trees, as published
    assert [float(score) for score in scores.values()] == pytest.approx([1, 1, 1], abs=0.01)
    assert scores["disentanglement"].floor < 0.3 and scores["informativeness"].floor < 0.5


def test_refits_give_an_interval() -> None:
    reference = reference_codes("axis", n=600)
    factors = {name: reference.factors[name] for name in ("shape", "scale")}
    score = dci(reference.codes, factors, trees=RandomForestClassifier(5), refits=3)
    low, high = score["disentanglement"].interval
    assert low <= float(score["disentanglement"]) <= high


def measured(name: str, scramble: bool = False) -> list[float]:
    reference = block_code(name, 1000)
    codes = in_other_basis(reference) if scramble else reference.codes
    scores = block_dci(codes, reference.block_factors, blocks=reference.blocks, resamples=2)
    return [float(score) for score in scores.values()]


@pytest.mark.parametrize("name", ["se2", "se2_xy45", "se2_harmonic"])
def test_perfect_blocks_in_any_basis(name: str) -> None:
    perfect = measured(name)
    assert perfect == pytest.approx([1, 1, 1], abs=0.03)
    assert measured(name, scramble=True) == pytest.approx(perfect, abs=1e-6)


def test_a_mix_across_blocks_drops_and_noise_is_nothing() -> None:
    d, c, _ = measured("mix")
    assert d < 0.25 and c < 0.25
    d, c, i = measured("noise")
    assert d == 0 and np.isnan(c) and i < 0.2  # one block has no completeness


def test_null() -> None:
    labels = {"v": np.arange(60) % 2}
    assert block_dci(np.ones((60, 2)), labels)["completeness"].reason == "all codes are constant"
    few = dci(np.eye(8), {"v": np.arange(8)})["disentanglement"]
    assert few.reason == "8 samples are too few to fit and test on"


def test_what_several_blocks_know_is_not_lost():
    """The cut against noise once lay above every real importance when much was predictable."""
    reference = reference_codes("se2", n=500)
    generator = np.random.default_rng(0)
    again = reference.codes[:, :1].copy()
    reference.codes[:, 0] += 0.3 * generator.normal(size=500)
    again += 0.3 * generator.normal(size=(500, 1))
    codes = np.concatenate([reference.codes, again, generator.normal(size=(500, 12))], axis=1)
    blocks = {**reference.blocks, "again": [6], "noise": range(7, 19)}
    scores = block_dci(codes, reference.block_factors, blocks=blocks, resamples=2)
    assert scores["disentanglement"].value > 0.95
    assert 0.6 < scores["completeness"].value < 0.99  # shape is in two blocks


def test_one_factor_or_one_code_is_no_score_rather_than_one():
    reference = reference_codes("mix", n=600)
    one = {"shape": reference.factors["shape"]}
    forest = RandomForestClassifier(5)
    for scores in (
        block_dci(reference.codes, one, blocks=reference.blocks, resamples=2),
        dci(reference.codes, one, trees=forest),
        dci(reference.codes, one | {"constant": np.zeros(600, int)}, trees=forest),
    ):
        assert scores["disentanglement"].reason == "disentanglement needs two factors that vary"
        assert scores["informativeness"].value is not None
    whole = {"all": range(6)}
    together = block_dci(reference.codes, reference.factors, blocks=whole, resamples=2)
    assert together["completeness"].reason == "completeness needs two codes that vary"
