import numpy as np
import pytest

from eqvae.metrics.disentanglement.irs import interventional_robustness
from eqvae.metrics.disentanglement.reference_codes import reference_codes


def standardised(name):
    code = reference_codes(name)
    codes = (code.codes - code.codes.mean(axis=0)) / code.codes.std(axis=0)
    if name.startswith("se2"):  # (cos, sin) is one unit of variance 1/2 where the values are stated
        codes[:, code.blocks["orientation"]] /= 2
    return codes, code.factors


# noise and axis_noise move with the largest of 10,000 normal numbers, mix with its random basis
@pytest.mark.parametrize(
    ("name", "stated", "tolerance"),
    [
        ("axis", 1, 5e-4),
        ("se2", 1, 5e-4),
        ("half_turn", 1, 5e-4),
        ("noise", 0.376, 0.005),
        ("axis_noise", 0.564, 0.01),
        ("se2_xy45", 0.726, 0.005),
        ("mix", 0.462, 0.02),
    ],
)
def test_golden_values(name, stated, tolerance):
    score = interventional_robustness(*standardised(name))["irs"]
    assert score.value == pytest.approx(stated, abs=tolerance)
    assert score.legacy


def test_noise_reads_its_shuffled_floor_not_0():
    score = interventional_robustness(*standardised("noise"))["irs"]
    assert score.value == pytest.approx(score.floor, abs=0.01)
    assert score.floor > 0.3


def test_paper_quantile_forgives_no_outlier():
    codes, factors = standardised("axis")
    codes = codes.copy()
    codes[::100, 3] += 1.0
    paper = interventional_robustness(codes, factors, quantile=1.0)["irs"].value
    assert paper < interventional_robustness(codes, factors)["irs"].value - 0.05


def test_block_score_ignores_the_basis_inside_blocks_and_drops_across():
    generator = np.random.default_rng(0)
    code, mixed = reference_codes("se2", 4_000), reference_codes("mix", 4_000)
    turned = code.codes.copy()
    for columns in code.blocks.values():
        size = len(columns)
        turned[:, columns] = turned[:, columns] @ (
            np.eye(size) + generator.normal(size=(size, size))
        )
    before = interventional_robustness(code.codes, code.block_factors, blocks=code.blocks)["irs"]
    after = interventional_robustness(turned, code.block_factors, blocks=code.blocks)["irs"]
    assert before.value == pytest.approx(after.value, abs=1e-6)
    assert before.value > 0.9
    across = interventional_robustness(mixed.codes, mixed.block_factors, blocks=code.blocks)["irs"]
    assert across.value < before.value - 0.2


def test_active_dimensions_are_counted():
    code = reference_codes("axis", 2_000)
    codes = np.concatenate([code.codes, np.full((2_000, 2), 7.0)], axis=1)
    assert interventional_robustness(codes, code.factors)["irs/active"].value == 5


def test_interval_holds_the_value():
    code = reference_codes("mix", 1_000)
    score = interventional_robustness(code.codes, code.factors, resamples=20)["irs"]
    assert score.interval[0] < score.value < score.interval[1]


def test_bad_input():
    code = reference_codes("axis", 500)
    with pytest.raises(ValueError, match="quantile must be"):
        interventional_robustness(code.codes, code.factors, quantile=0)
    with pytest.raises(ValueError, match="must be finite"):
        interventional_robustness(code.codes * np.nan, code.factors)
    assert "constant" in interventional_robustness(np.ones((500, 2)), code.factors)["irs"].reason
    each = interventional_robustness(code.codes, {"row": np.arange(500)})["irs"]
    assert "rows a value" in each.reason
