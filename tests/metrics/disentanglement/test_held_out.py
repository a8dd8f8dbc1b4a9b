"""Held-out rows are disjoint, and one source stays on one side."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.held_out import fit_and_held_out
from eqvae.metrics.intervals import Resampling


def test_disjoint_and_in_proportion() -> None:
    fit, held = fit_and_held_out(100, 20, 10, Resampling())
    assert (len(fit), len(held)) == (20, 10) and not set(fit) & set(held)
    fit, held = fit_and_held_out(30, 200, 100, Resampling())
    assert (len(fit), len(held)) == (20, 10)


def test_a_source_stays_on_one_side() -> None:
    groups = np.repeat(np.arange(40), 5)
    fit, held = fit_and_held_out(200, 100, 50, Resampling(groups))
    assert not set(groups[fit]) & set(groups[held])
    assert 90 <= len(fit) <= 100 and len(held) == 50
    one = Resampling(np.zeros(20, int))
    assert len(fit_and_held_out(20, 10, 10, one)[0]) == 0  # one source can't be on both


def test_lengths() -> None:
    with pytest.raises(ValueError, match="codes 4, groups 3"):
        fit_and_held_out(4, 2, 2, Resampling([0, 1, 2]))
