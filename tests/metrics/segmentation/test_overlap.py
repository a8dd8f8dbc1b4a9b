"""Dice and IoU: counted by hand, and against each other."""

import numpy as np
import pytest

from eqvae.metrics.segmentation.overlap import dice, iou, overlap_scores


def test_squares_that_share_a_half():
    a, b = np.zeros((2, 2, 1, 8, 8), bool)
    a[:, :, :4, :4] = True
    b[0, :, :4, 2:6] = True  # 8 pixels of 16 and 16; the second is empty
    assert dice(a, b).tolist() == [0.5, 0.0] and iou(a, b).tolist() == [pytest.approx(1 / 3), 0.0]
    assert dice(b[1:], b[1:]).tolist() == iou(b[1:], b[1:]).tolist() == [1.0]


def test_one_follows_from_the_other_and_strangers_are_the_floor():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 30, 1, 9, 9)) > 0.6
    assert np.allclose(iou(a, b), dice(a, b) / (2 - dice(a, b)))
    found = overlap_scores(a, a)
    assert found["dice"].value == found["iou"].value == 1.0
    assert found["dice"].floor == pytest.approx(0.4, abs=0.05)
    with pytest.raises(ValueError, match="masks must be of one shape"):
        overlap_scores(a, b[..., :-1])
