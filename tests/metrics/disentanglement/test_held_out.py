"""Held-out rows are disjoint, and one source stays on one side."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.held_out import split_rows


def test_disjoint_and_in_proportion() -> None:
    fit, held = split_rows(100, 20, 10)
    assert (len(fit), len(held)) == (20, 10) and not set(fit) & set(held)
    fit, held = split_rows(30, 200, 100)
    assert (len(fit), len(held)) == (20, 10)


def test_a_source_stays_on_one_side() -> None:
    groups = np.repeat(np.arange(40), 5)
    fit, held = split_rows(200, 100, 50, groups)
    assert not set(groups[fit]) & set(groups[held])
    assert 90 <= len(fit) <= 100 and len(held) == 50
    assert len(split_rows(20, 10, 10, np.zeros(20, int))[0]) == 0  # one source can't be on both


def test_lengths() -> None:
    with pytest.raises(ValueError, match="codes 4, groups 3"):
        split_rows(4, 2, 2, [0, 1, 2])
