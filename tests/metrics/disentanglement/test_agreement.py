import numpy as np
import pytest

from eqvae.metrics.disentanglement.agreement import block_cka, seed_agreement
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.udr import unsupervised_disentanglement_ranking

CODE = reference_codes("se2", 1_500)


def other_basis(seed):
    generator = np.random.default_rng(seed)
    codes = CODE.codes.copy()
    for columns in CODE.blocks.values():
        size = len(columns)
        codes[:, columns] = codes[:, columns] @ (np.eye(size) + generator.normal(size=(size, size)))
    return codes


def mixed(seed):
    codes = (CODE.codes - CODE.codes.mean(axis=0)) / CODE.codes.std(axis=0)
    return codes @ np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]


def test_legal_bases_agree_and_mixed_ones_do_not():
    legal = seed_agreement([(other_basis(s), CODE.blocks) for s in range(3)])
    for name in ("agreement", "agreement/position", "agreement/orientation", "agreement/same_name"):
        assert legal[name].value == pytest.approx(1, abs=1e-6)
    assert legal["agreement"].floor < 0.01
    entangled = seed_agreement([(mixed(s), CODE.blocks) for s in range(3)])
    assert entangled["agreement"].value < 0.7


def test_blocks_are_matched_whatever_their_order_or_name():
    renamed = {
        "a": CODE.blocks["position"],
        "b": CODE.blocks["shape"],
        "c": CODE.blocks["orientation"],
    }
    scores = seed_agreement([(CODE.codes, CODE.blocks), (CODE.codes, renamed)])
    assert scores["agreement/a"].value == pytest.approx(1)
    assert scores["agreement/position"].value == pytest.approx(1)
    assert scores["agreement/same_name"].value == 0


def test_shuffled_rows_read_the_floor():
    order = np.random.default_rng(5).permutation(len(CODE.codes))
    score = seed_agreement([(CODE.codes, CODE.blocks), (CODE.codes[order], CODE.blocks)])[
        "agreement"
    ]
    assert score.value == pytest.approx(score.floor, abs=0.005)


def test_cka_in_closed_form():
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert block_cka(x, 2 * x @ np.linalg.qr(np.ones((3, 3)) + np.eye(3))[0] + 1) == pytest.approx(
        1
    )
    assert block_cka(x[:, :1], x[:, 1:2]) == pytest.approx(np.corrcoef(x[:, 0], x[:, 1])[0, 1] ** 2)


@pytest.mark.parametrize(("method", "perfect"), [("lasso", 0.9), ("spearman", 1)])
def test_udr_of_equal_axes_mixed_and_noise(method, perfect):
    axis = np.random.default_rng(0).normal(size=(4_000, 4))
    equal = unsupervised_disentanglement_ranking([axis, -axis[:, ::-1], 3 * axis], method=method)
    # spearman: the small chance correlations of the other dimensions enlarge the sum
    assert equal["udr"].value == pytest.approx(perfect, abs=1e-2 if method == "lasso" else 0.06)
    assert equal["udr"].legacy
    entangled = unsupervised_disentanglement_ranking([mixed(s) for s in range(3)], method=method)
    assert entangled["udr"].value < 0.5
    noise = [np.random.default_rng(s).normal(size=(4_000, 4)) for s in range(3)]
    assert unsupervised_disentanglement_ranking(noise, method=method)["udr"].value < 0.03


def test_udr_leaves_out_dimensions_without_information():
    axis = np.random.default_rng(0).normal(size=(500, 3))
    noisy = [
        np.concatenate([axis, np.random.default_rng(s).normal(size=(500, 2))], axis=1)
        for s in (1, 2)
    ]
    kl = [np.array([2.0, 2.0, 2.0, 0.0, 0.005])] * 2
    informed = unsupervised_disentanglement_ranking(noisy, kl_by_seed=kl)["udr"].value
    assert informed == pytest.approx(0.9, abs=0.02)
    assert unsupervised_disentanglement_ranking(noisy)["udr"].value < informed - 0.2


def test_what_the_data_do_not_allow():
    assert "two seeds" in seed_agreement([(CODE.codes, CODE.blocks)])["agreement"].reason
    constant = [(np.ones((50, 2)), None)] * 2
    assert "constant" in seed_agreement(constant)["agreement"].reason
    assert "two seeds" in unsupervised_disentanglement_ranking([CODE.codes])["udr"].reason
    with pytest.raises(ValueError, match="one row for each sample"):
        seed_agreement([(CODE.codes, None), (CODE.codes[:-1], None)])
    with pytest.raises(ValueError, match="method must be one of lasso, spearman"):
        unsupervised_disentanglement_ranking([CODE.codes] * 2, method="pearson")
    with pytest.raises(ValueError, match="must be finite"):
        unsupervised_disentanglement_ranking([CODE.codes * np.nan] * 2)
