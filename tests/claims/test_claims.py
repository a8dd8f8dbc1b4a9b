"""What a claim may be, and what its numbers make of it."""

import pytest

from eqvae.claims.claim import CONDITION, FALSE, HOLDS, NOT_SHOWN, Claim, Measured


@pytest.mark.parametrize(
    ("control", "holds", "holds_if", "condition", "verdict"),
    [
        (1.0, True, False, "", HOLDS),
        (1.0, False, True, "on aligned grids", CONDITION),
        (1.0, False, True, "", FALSE),
        (1.0, False, False, "on aligned grids", FALSE),
        (1e-12, True, True, "on aligned grids", NOT_SHOWN),
    ],
)
def test_the_numbers_give_the_verdict(control, holds, holds_if, condition, verdict):
    measured = Measured(1e-12, bound=1e-10, control=control, holds=holds, holds_if=holds_if)
    row = Claim("1", "layers", "a title", "told.", "found.", condition, lambda seed: measured)
    assert row.verdict(measured) == verdict


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="control of a claim must be a finite number; got nan"):
        Measured(0.0, bound=1.0, control=float("nan"), holds=True)
