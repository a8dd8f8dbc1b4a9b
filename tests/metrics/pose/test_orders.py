"""Orders are one for all, by class in a mapping, or indexed by class, wherever they are taken."""

from functools import cache

import numpy as np
import pytest
import torch

from eqvae.data.sources import Sprites
from eqvae.metrics import (
    angle_calibration,
    fit_gauge,
    pose_consistency,
    pose_errors,
    pose_errors_by_class,
)
from eqvae.metrics.pose.orders import row_orders

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 2])
POSE = np.c_[np.zeros(10), np.linspace(-3, 3, 10), np.zeros((10, 2))]
WIDE = 2 * np.cos(np.arange(32) * np.pi / 16)[None] - np.log(np.i0(2)) + np.zeros((10, 1))
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FAST = {"resamples": 2}
BY_CLASS = {0: 1, 1: 2, 2: 0}
TAKERS = {
    "fit_gauge": lambda orders: fit_gauge(POSE, POSE, LABELS, orders),
    "pose_errors": lambda orders: pose_errors(POSE, POSE, classes=LABELS, orders=orders, **FAST),
    "pose_errors_by_class": lambda orders: pose_errors_by_class(
        POSE, POSE, classes=LABELS, orders=orders, **FAST
    ),
    "pose_consistency": lambda orders: pose_consistency(
        POSE, POSE[None], np.zeros((1, 4)), classes=LABELS, orders=orders, **FAST
    ),
    "angle_calibration": lambda orders: angle_calibration(
        WIDE, POSE[:, 1], classes=LABELS, orders=orders, levels=LEVELS, **FAST
    ),
}
EACH = pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)


@cache
def by_class(take):
    return take(BY_CLASS)


@cache
def for_all(take):
    return take(1)


@pytest.mark.parametrize(
    "orders",
    [(1, 2, 0), [1, 2, 0], np.array([1, 2, 0]), torch.tensor([1, 2, 0]), (1, 2, 0, 4)],
    ids=["tuple", "list", "array", "tensor", "more classes than there are"],
)
@EACH
def test_a_sequence_is_indexed_by_class(take, orders):
    found = take(orders)
    assert found == by_class(take)
    assert found != for_all(take)  # a control


def test_the_orders_of_our_own_images_are_taken():
    images = Sprites(num_images=20).load()
    found = row_orders(images.symmetry_orders, images.labels.numpy())
    assert found.tolist() == [images.symmetry_orders[int(c)] for c in images.labels]


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ("111", "got '111'"),
        ({1, 2}, r"got \{1, 2\}"),
        (2.0, "got 2.0"),
        ((1, 2, -1), "got -1"),
        ((1, 2.5, 1), "got 2.5"),
        ((1, True, 1), "got True"),
        (None, "got None"),
        (np.ones((2, 2), int), "orders must be whole numbers"),
        ((1, 2), r"class\(es\) \[2\] have none"),
    ],
)
@EACH
def test_anything_else_is_refused(take, orders, message):
    with pytest.raises(ValueError, match=message):
        take(orders)
