"""The rows of the lens hold, each with a control that fails."""

import pytest

from eqvae.claims.claim import HOLDS, all_claims
from eqvae.claims.planted import BROKEN, PLANTED
from eqvae.claims.rows.lens_physics import named

ROWS = ["2", "3", "22", "26", "29", "33", "34", "36", "37", "38"]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_holds(row):
    claim = all_claims()[row]
    measured = claim.measure(3)
    assert claim.verdict(measured) == HOLDS
    assert measured.value < measured.bound < measured.control


def test_a_lens_that_is_told_wrong_motions_names_nothing_that_turns():
    """A few of row 35's maps; all of them are in tests/lens."""
    few = named(3, (PLANTED[1], PLANTED[4], BROKEN[3]), [PLANTED[4], PLANTED[7]], n=40, draws=8)
    assert few.value == 0 and few.control == 2
