"""What the rows about log-polar images find."""

import pytest
from matplotlib.figure import Figure

from eqvae.claims.claim import CONDITION, all_claims

ROWS = ("19", "20", "21b", "21c")


@pytest.mark.parametrize("row", ROWS)
def test_it_holds_with_its_condition_and_the_control_fails(row):
    claim = all_claims()[row]
    found = claim.measure(0)
    assert claim.verdict(found) == CONDITION, found
    axes = Figure().add_subplot()
    found.draw(axes)
    assert axes.get_xlabel() and axes.lines
