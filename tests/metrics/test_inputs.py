"""Bad input to a metric is refused in one sentence that names it."""

import numpy as np
import pytest
import torch

from eqvae.metrics.inputs import (
    as_blocks,
    as_classes,
    as_codes,
    as_factors,
    check_lengths,
)


def test_tensors_arrays_and_lists_are_the_same():
    values = [[1.0, 2.0], [3.0, 4.0]]
    for given in (values, np.array(values, dtype=np.float32), torch.tensor(values)):
        codes = as_codes(given)
        assert codes.dtype == np.float64 and np.array_equal(codes, values)
    assert np.array_equal(as_codes(torch.tensor(values, requires_grad=True)), values)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros(3), r"codes must have 2 dimension\(s\); got shape \(3,\)"),
        (np.zeros((0, 2)), "codes must not be empty"),
        (np.array([[1.0], [np.nan]]), "codes must be finite; 1 of 2 values .* first in row 1"),
        (np.array([[np.inf], [1.0]]), "first in row 0"),
    ],
)
def test_bad_codes(codes, message):
    with pytest.raises(ValueError, match=message):
        as_codes(codes)


def test_classes_are_numbered_from_zero():
    assert as_classes([7, 3, 7, 9]).tolist() == [1, 0, 1, 2]
    assert as_classes(np.array([2.0, 5.0])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="must be whole numbers"):
        as_classes([0.5, 1.0])
    with pytest.raises(ValueError, match=r"1 of 2 are negative \(unknown\)"):
        as_classes([-1, 1])


def test_factors_keep_their_kind():
    factors = as_factors({"shape": [0, 1, 1], "x": [0.0, 0.5, 1.0], "v": np.zeros((3, 2))}, 3)
    assert [factors[k].dtype.kind for k in ("shape", "x", "v")] == ["i", "f", "f"]
    with pytest.raises(ValueError, match="got codes 4, factor 'x' 3"):
        as_factors({"x": [0.0, 0.5, 1.0]}, 4)
    with pytest.raises(ValueError, match="at least one factor"):
        as_factors({}, 4)


def test_blocks_are_disjoint_columns():
    assert {k: v.tolist() for k, v in as_blocks(None, 2).items()} == {"0": [0], "1": [1]}
    assert as_blocks({"t": [0, 1], "v": range(2, 4)}, 5)["v"].tolist() == [2, 3]
    for blocks in ({"a": [0], "b": [0, 1]}, {"a": [3]}, {"a": [-1]}):
        with pytest.raises(ValueError, match="share no column"):
            as_blocks(blocks, 3)
    for blocks in ({}, {"a": []}):
        with pytest.raises(ValueError, match="must name columns"):
            as_blocks(blocks, 3)


def test_lengths_are_named():
    assert check_lengths(codes=np.zeros(3), labels=[1, 2, 3], groups=None) == 3
    with pytest.raises(ValueError, match="got codes 3, labels 2"):
        check_lengths(codes=np.zeros(3), labels=[1, 2])
