"""Factors by step, written down by hand."""

import pytest

from eqvae.losses import Constant, Cyclic, WarmUp


def test_factors():
    assert [Constant(0.5)(step) for step in (0, 10)] == [0.5, 0.5]
    assert [WarmUp(4)(step) for step in (0, 1, 2, 4, 100)] == [0, 0.25, 0.5, 1, 1]
    assert [WarmUp(2, start=0.5)(step) for step in (0, 1, 2, 3)] == [0.5, 0.75, 1, 1]
    assert [Cyclic(8)(step) for step in range(10)] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0, 0.25]


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="steps of a warm-up must be >= 1; got 0"):
        WarmUp(0)
    with pytest.raises(ValueError, match="period of a cyclic schedule must be >= 2 steps; got 1"):
        Cyclic(1)
