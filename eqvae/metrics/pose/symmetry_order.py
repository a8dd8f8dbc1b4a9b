"""How often the order of an object's symmetry is read right from the posterior over its angle."""

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.distributions.symmetry_order import symmetry_order
from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "symmetry-order"


def symmetry_order_accuracy(
    log_density: ArrayLike,
    true_orders: ArrayLike,
    max_order: int | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """How often `symmetry_order` finds the true order.

    Args:
        log_density: (N, P), see `symmetry_order`.
        true_orders: (N,) whole numbers >= 0.
        max_order: largest k tried; None means 8, or the largest true order if that is more.
        **draws: see `Draws`; 1000 resamples.

    Returns:
        accuracy: over all rows; the floor is always answering the commonest order, the ceiling 1.
        accuracy_order_k: over the objects of order k, one for each k there is.

    Raises:
        ValueError: if a true order is negative, not whole, or above max_order.
    """
    resampling = Resampling.of(draws)
    truth = as_array(true_orders, "true_orders", 1)
    if not np.array_equal(truth, np.round(truth)) or truth.min() < 0:
        raise ValueError(
            "true_orders must be whole numbers >= 0, 0 for objects that look the same after any turn; "
            f"got {truth[(truth < 0) | (truth != np.round(truth))][0]:g}."
        )
    check_lengths(log_density=log_density, true_orders=truth, groups=resampling.groups)
    max_order = max(8, int(truth.max())) if max_order is None else max_order
    if truth.max() > max_order:
        raise ValueError(
            f"max_order must reach the largest true order {int(truth.max())}; got {max_order}. Raise it."
        )
    right = symmetry_order(log_density, max_order) == truth
    orders, counts = np.unique(truth, return_counts=True)
    known = {"ceiling": 1.0, "page": PAGE}
    scores = {
        "accuracy": Score.of_mean(right, resampling, floor=counts.max() / len(truth), **known)
    }
    for k in orders:
        rows = truth == k
        score = Score.of_mean(right[rows], resampling.of_rows(rows), **known)
        scores[f"accuracy_order_{int(k)}"] = score
    return scores
