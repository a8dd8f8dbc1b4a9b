"""What the rows about poses in space find, on smaller settings than theirs."""

from matplotlib.figure import Figure

from eqvae.claims.claim import all_claims
from eqvae.claims.rows.space_search import alignment


def test_the_transform_is_the_explicit_sum():
    found = all_claims()["43"].measure(0)
    assert found.value < found.bound and found.control_fails
    axes = Figure().add_subplot()
    found.draw(axes)
    assert axes.get_xlabel() == "seconds a pose"


def test_whole_chains_come_back_and_low_degrees_lose_damaged_ones():
    whole, damaged = alignment(0, lmax=8, n=4, atoms=300)
    assert whole.max() < 0.1 and damaged.max() < 10
    _, low = alignment(0, lmax=2, n=4, atoms=300)
    assert low.median() > damaged.median()
