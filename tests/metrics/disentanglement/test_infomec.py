"""InfoMEC: a perfect code in any legal basis, a mix, and noise."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.infomec import concentration, infomec
from tests.metrics.disentanglement.codes import block_code, in_other_basis, information


def measured(name: str, turned: bool = False):
    reference = block_code(name, 1000)  # a probe needs more rows than information
    return infomec(
        in_other_basis(reference) if turned else reference.codes,
        reference.block_factors,
        blocks=reference.blocks,
        information=information(name, turned=turned),
        train=600,
        resamples=20,
    )


def test_perfect_in_any_basis_inside_blocks() -> None:
    perfect = measured("se2")
    assert all(float(score) > 0.98 and not score.legacy for score in perfect.values())
    turned = measured("se2", turned=True)
    for name, score in perfect.items():
        assert float(turned[name]) == pytest.approx(float(score), abs=1e-6)


def test_a_mix_across_blocks_drops_but_stays_linear() -> None:
    mixed = measured("mix")
    assert float(mixed["infom"]) < 0.5 and float(mixed["infoc"]) < 0.5
    assert float(mixed["infoe"]) > 0.95


def test_noise_is_null_and_not_modular() -> None:
    noise = measured("noise")
    assert noise["infom"].value is None and "no block knows more" in noise["infom"].reason
    assert float(noise["infoe"]) == pytest.approx(0, abs=0.02)


def test_dead_columns_do_not_count() -> None:
    reference = block_code("se2", 600)
    codes = np.concatenate([reference.codes, np.zeros((len(reference.codes), 3))], axis=1)
    blocks = reference.blocks | {"dead": [6, 7, 8]}
    with_dead = infomec(codes, reference.block_factors, blocks=blocks, train=400, resamples=2)
    without = measured("se2")["infoc"]
    assert float(with_dead["infoc"]) == pytest.approx(float(without), abs=0.02)


def test_concentration() -> None:
    assert concentration(np.eye(4)) == 1
    assert concentration(np.ones((4, 4))) == pytest.approx(0)


def test_one_factor_has_no_modularity() -> None:
    labels = {"v": np.arange(200) % 3}
    scores = infomec(np.eye(3)[labels["v"]], labels)
    assert scores["infom"].reason == "InfoM needs two factors that vary"
    assert scores["infoc"].legacy and float(scores["infoc"]) < 0.3  # three columns know the same
