"""The row about docking, on a complex of two small parts."""

from eqvae.claims.rows.space_docking import complex_of, searched


def test_all_poses_find_the_part_and_raw_correlations_do_not():
    measured = searched(complex_of(0, (50, 40)), seed=0)
    assert measured.holds and measured.control_fails
