"""What the rows about latents with a representation find."""

import pytest
from matplotlib.figure import Figure

from eqvae.claims.claim import CONDITION, HOLDS, all_claims


@pytest.mark.parametrize(("row", "verdict"), [("21", CONDITION), ("47", HOLDS)])
def test_the_verdict_follows_and_the_control_fails(row, verdict):
    claim = all_claims()[row]
    found = claim.measure(0)
    assert claim.verdict(found) == verdict, found
    axes = Figure().add_subplot()
    found.draw(axes)
    assert axes.get_xlabel() and (axes.lines or axes.patches)
