import numpy as np
import pytest

from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.votes import beta_vae_score, factor_vae_score

FEW = {"train_votes": 1_000, "test_votes": 1_000}


STATED = {"train_votes": 3_000, "test_votes": 2_000}  # the numbers behind the stated values


# 2,000 votes at 0.8 have standard deviation 0.009, and so has the stated value
@pytest.mark.parametrize(
    ("name", "stated"),
    [("axis", 1), ("se2", 1), ("se2_xy45", 0.788), ("mix", 0.783), ("noise", 0.202)],
)
def test_factor_vae_golden_values(name, stated):
    code = reference_codes(name)
    scores = factor_vae_score(code.codes, code.factors, **STATED)
    score = scores["factor_vae"]
    assert score.value == pytest.approx(stated, abs=5e-4 if stated == 1 else 0.03)
    assert score.legacy
    assert score.floor == pytest.approx(0.2)


@pytest.mark.parametrize(("name", "stated"), [("se2", 1), ("se2_xy45", 0.788), ("noise", 0.182)])
def test_beta_vae_golden_values(name, stated):
    code = reference_codes(name)
    score = beta_vae_score(code.codes, code.factors, **STATED)["beta_vae"]
    assert score.value == pytest.approx(stated, abs=5e-4 if stated == 1 else 0.03)


def test_beta_vae_can_be_fooled_by_entangled_codes():
    code = reference_codes("se2")
    codes = (code.codes - code.codes.mean(axis=0)) / code.codes.std(axis=0)
    codes[:, code.blocks["orientation"]] /= 2  # the classifier's weight decay sees scales
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    score = beta_vae_score(codes @ basis, code.factors, **STATED)["beta_vae"]
    assert score.value == pytest.approx(0.978, abs=0.025)


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_block_scores_ignore_the_basis_inside_blocks_and_drop_across(score):
    generator = np.random.default_rng(0)
    code, mixed = reference_codes("se2", 4_000), reference_codes("mix", 4_000)
    turned = code.codes.copy()
    for columns in code.blocks.values():
        size = len(columns)
        turned[:, columns] = turned[:, columns] @ (
            np.eye(size) + generator.normal(size=(size, size))
        )
    known = {"blocks": code.blocks, **FEW}
    (name, before), *_ = score(code.codes, code.block_factors, **known).items()
    after = score(turned, code.block_factors, **known)[name]
    assert before.value == pytest.approx(after.value, abs=1e-6)
    assert not before.legacy
    assert before.value > 0.98
    assert score(mixed.codes, mixed.block_factors, **known)[name].value < before.value - 0.05


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_block_noise_reads_chance(score):
    code = reference_codes("noise", 4_000)
    blocks = {"a": [0, 1], "b": [2, 3, 4], "c": [5], "d": [6, 7, 8, 9]}
    (first, *_) = score(code.codes, code.block_factors, blocks=blocks, **FEW).values()
    assert first.floor == 0.25
    assert first.value == pytest.approx(0.25, abs=0.06)


def test_active_dimensions_are_counted_not_the_length_of_the_mask():
    code = reference_codes("axis", 2_000)
    dead = np.concatenate([np.zeros((2_000, 3)), code.codes, np.full((2_000, 2), 7.0)], axis=1)
    scores = factor_vae_score(dead, code.factors, **FEW)
    assert scores["factor_vae/active"].value == 5  # public code says 10
    # the winner's index is one of the active dimensions: dead ones in front must not shift the table
    assert scores["factor_vae"].value == 1


def test_small_dimensions_are_pruned_where_asked():
    code = reference_codes("axis", 2_000)
    codes = np.concatenate(
        [code.codes, 0.01 * np.random.default_rng(0).normal(size=(2_000, 5))], axis=1
    )
    assert factor_vae_score(codes, code.factors, **FEW)["factor_vae/active"].value == 10
    pruned = factor_vae_score(codes, code.factors, min_std=0.05, **FEW)
    assert pruned["factor_vae/active"].value == 5


def test_repeats_with_one_seed():
    code = reference_codes("mix", 2_000)
    one, two = (
        beta_vae_score(code.codes, code.factors, seed=3, **FEW)["beta_vae"] for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_what_the_data_do_not_allow_is_null(score):
    code = reference_codes("axis", 500)

    def reason(codes, factors):
        return next(iter(score(codes, factors, **FEW).values())).reason

    assert "constant" in reason(np.ones((500, 3)), code.factors)
    assert "two" in reason(code.codes, {"x": code.factors["x"]})
    assert "500 values" in reason(code.codes, {"x": code.factors["x"], "row": np.arange(500)})
    assert "one value" in reason(code.codes, {"x": code.factors["x"], "same": np.zeros(500, int)})


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_bad_input(score):
    code = reference_codes("axis", 500)
    with pytest.raises(ValueError, match="must be finite"):
        score(code.codes * np.nan, code.factors)
    with pytest.raises(ValueError, match="one row for each sample"):
        score(code.codes[:-1], code.factors)
    with pytest.raises(ValueError, match="batch must be at least 2"):
        score(code.codes, code.factors, batch=1)
