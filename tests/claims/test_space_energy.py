"""What the row about energies and forces finds that needs no training; the others train for a minute."""

from matplotlib.figure import Figure

from eqvae.claims.claim import HOLDS, all_claims


def test_energies_stay_and_forces_turn():
    claim = all_claims()["39"]
    found = claim.measure(0)
    assert claim.verdict(found) == HOLDS, found
    axes = Figure().add_subplot()
    found.draw(axes)
    assert axes.patches
