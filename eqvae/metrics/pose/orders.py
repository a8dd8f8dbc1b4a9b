"""Symmetry orders of objects, k of the stabiliser C_k: one for all, or one for each class."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, as_classes, check_lengths

# k for every object, {class: k}, or k of class 0, 1, ... in their order, such as `images.symmetry_orders`;
# an order of 0 means that any turn looks the same
Orders = int | Mapping[int, int] | Sequence[int]


def as_labels(classes: ArrayLike | None, n: int) -> np.ndarray:
    """Classes (n,) as whole numbers, with their own values; all 0 if there are none."""
    if classes is None:
        return np.zeros(n, dtype=np.int64)
    values = as_array(classes, "classes", 1)
    check_lengths(poses=n, classes=values)
    as_classes(values, "classes")
    return values.astype(np.int64)


def row_orders(orders: Orders, labels: np.ndarray) -> np.ndarray:
    """Symmetry order of each row, (N,).

    Args:
        orders: one for all, by class in a mapping, or indexed by class.
        labels: class of each row, (N,).

    Raises:
        ValueError: if `orders` is none of these, an order is not a whole number >= 0, or a class has none.
    """
    if _is_order(orders):
        return np.full(len(labels), orders, dtype=np.int64)
    table = _by_class(orders)
    for order in table.values():
        if not _is_order(order):
            raise ValueError(f"{_WANTED}; got {order!r}.")
    present, index = np.unique(labels, return_inverse=True)
    missing = [int(c) for c in present if c not in table]
    if missing:
        raise ValueError(
            f"orders must name every class; class(es) {missing} have none. Give 1 to an object "
            "without symmetry and 0 to a disc."
        )
    return np.array([table[int(c)] for c in present], dtype=np.int64)[index]


_WANTED = (
    "orders must be whole numbers k >= 1 (the object looks the same after 360 / k degrees) or 0 (after "
    "any turn), one for all, {class: k} or a sequence indexed by class"
)


def _by_class(orders: object) -> Mapping[int, int]:
    if isinstance(orders, Mapping):
        return orders
    if isinstance(orders, np.ndarray | torch.Tensor) and orders.ndim == 1:
        orders = orders.tolist()
    if isinstance(orders, Sequence) and not isinstance(orders, str | bytes):
        return dict(enumerate(orders))
    raise ValueError(f"{_WANTED}; got {orders!r}.")


def _is_order(value: object) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)
    return whole and value >= 0
