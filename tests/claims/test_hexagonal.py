"""The cheap claims about the hexagonal lattice: verdicts follow from numbers, and controls fail."""

import pytest

from eqvae.claims.claim import HOLDS, all_claims


@pytest.mark.parametrize("row", ["30", "32"])
def test_claims_about_the_lattice_hold_and_their_controls_fail(row):
    claim = all_claims()[row]
    measured = claim.measure(0)
    assert claim.verdict(measured) == HOLDS and measured.control_fails
    assert measured.value < measured.bound
