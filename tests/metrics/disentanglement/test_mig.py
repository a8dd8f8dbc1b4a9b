"""MIG: stated values, and the mistakes that public implementations made."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.histograms import histogram_bins, table_information
from eqvae.metrics.disentanglement.mig import block_mig, code_gaps, mig
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from tests.metrics.disentanglement.codes import block_code, information

STATED = {"axis": 0.896, "se2": 0.737, "se2_xy45": 0.402, "half_turn": 0.736, "noise": 0.0}


def value(reference, **options) -> float:
    return float(mig(reference.codes, reference.factors, resamples=2, **options)["mig"])


@pytest.mark.parametrize("name", STATED)
def test_stated_values_per_column(name: str) -> None:
    assert value(reference_codes(name)) == pytest.approx(STATED[name], abs=0.002)


def test_parts_ceiling_and_the_pair_of_cos_and_sin() -> None:
    reference = reference_codes("se2")
    scores = mig(reference.codes, reference.factors, resamples=10)
    assert float(scores["mig/x"]) == pytest.approx(0.84, abs=0.005)
    assert float(scores["mig/orientation"]) == pytest.approx(0.01, abs=0.005)
    assert scores["mig"].ceiling == pytest.approx(0.896, abs=0.002)
    assert scores["mig"].floor < 0.005 and scores["mig"].legacy
    low, high = scores["mig"].interval
    assert low < float(scores["mig"]) < high


def test_one_outlier_empties_bins_of_equal_width_but_not_of_equal_mass() -> None:
    reference = reference_codes("axis")
    codes = (reference.codes - reference.codes.mean(axis=0)) / reference.codes.std(axis=0)
    codes[0] *= 30
    spoilt = mig(codes, reference.factors, resamples=2)["mig"]
    assert float(spoilt) == pytest.approx(0.356, abs=0.01)
    safe = mig(codes, reference.factors, quantile=True, resamples=2)["mig"]
    assert float(safe) > 0.88


@pytest.mark.parametrize(
    ("n", "bins", "stated", "tolerance"),
    [(1000, 20, 0.095, 0.01), (1000, 100, 0.34, 0.02), (10_000, 20, 0.011, 0.002)],
)
def test_information_of_noise(n: int, bins: int, stated: float, tolerance: float) -> None:
    noise = reference_codes("noise", n=n)
    labels = np.stack(list(noise.factors.values()), axis=1)
    share = table_information(histogram_bins(noise.codes, bins), labels)
    share /= np.diag(table_information(labels, labels))
    assert share.max() == pytest.approx(stated, abs=tolerance)


def test_a_view_in_place_of_a_transpose_would_read_nothing() -> None:
    reference = reference_codes("axis")
    scrambled = reference.codes.reshape(reference.codes.shape[::-1]).T  # the public mistake
    labels = reference.factors
    assert float(mig(scrambled, labels, resamples=2)["mig"]) < 0.005
    assert value(reference) > 0.89


def test_blocks_tell_a_legal_basis_from_a_mix() -> None:
    scores = {}
    for name in ("se2", "se2_xy45", "mix"):
        reference, known = block_code(name), information(name)
        options = {"blocks": reference.blocks, "information": known, "resamples": 10}
        score = block_mig(reference.codes, reference.block_factors, **options)["mig"]
        scores[name] = float(score)
    assert scores["se2"] > 0.98
    assert scores["se2_xy45"] == pytest.approx(scores["se2"], abs=1e-6)
    assert scores["mix"] < 0.2


def test_blocks_see_that_half_of_the_orientation_is_lost() -> None:
    reference = reference_codes("half_turn", n=600)
    score = block_mig(
        reference.codes, reference.block_factors, blocks=reference.blocks, resamples=2
    )
    expected = np.log(20) / np.log(40)
    assert float(score["mig/orientation"]) == pytest.approx(expected, abs=0.05)


def test_gaps_with_one_code() -> None:
    np.testing.assert_allclose(code_gaps(np.array([[0.3, 0.7]])), [0.3, 0.7])


def test_constant_codes_and_factors_are_null() -> None:
    labels = {"v": np.arange(50) % 3}
    for measure in (mig, block_mig):
        assert measure(np.ones((50, 2)), labels)["mig"].reason == "all codes are constant"
        codes = np.random.default_rng(0).normal(size=(50, 2))
        score = measure(codes, {"v": np.zeros(50, int)})["mig"]
        assert score.value is None and score.reason == "all factors are constant"


def test_bad_codes() -> None:
    with pytest.raises(ValueError, match="codes must be finite"):
        mig([[np.nan]], {"v": [0]})
    with pytest.raises(ValueError, match="codes 2, factor 'v' 3"):
        mig([[0.0], [1.0]], {"v": [0, 1, 2]})
