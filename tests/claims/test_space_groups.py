"""Rows of the groups of space; two of them need e3nn."""

import pytest

from eqvae.claims.claim import HOLDS, all_claims
from eqvae.claims.rows.space_groups import turned_features


@pytest.mark.parametrize("row", ["36/motions", "38/products"])
def test_a_row_holds(row):
    claim = all_claims()[row]
    if claim.missing:
        pytest.skip(f"needs {claim.missing}")
    measured = claim.measure(3)
    assert claim.verdict(measured) == HOLDS
    assert measured.value < measured.bound < measured.control


def test_features_of_a_trained_network_are_turned_instead_of_made_anew():
    pytest.importorskip("e3nn", reason='needs pip install "eqvae[three]"')
    measured = turned_features(3, poses=20, atoms=30, steps=3, repeats=1)
    assert measured.value < 1e-10 and measured.control > 0.1 and measured.ceiling > 0.1
