"""The symmetry of an object, read from the posterior over its angle.

An object that looks the same after a turn by 2 pi / k has a posterior of period 2 pi / k: of its Fourier
coefficients only c_k, c_2k, ... are not zero. With c_l = mean of q(theta) exp(-i l theta),

    share(k) = sum over multiples l of k of |c_l|^2 / sum over all l >= 1 of |c_l|^2

is also the circular autocorrelation averaged over the turns of C_k. The order is the largest k whose share
is close to 1; a posterior without any energy, chi^2(q | uniform) = 2 sum |c_l|^2 near 0, is that of a disc.
"""

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.pose.calibration import as_log_density
from eqvae.metrics.score import Score, mean_interval

PAGE = "symmetry-order"


def symmetry_order(
    log_density: ArrayLike,
    max_order: int = 8,
    *,
    share: float = 0.9,
    uniform_below: float = 0.02,
) -> np.ndarray:
    """Order k of the symmetry C_k of each object, estimated from its angle posterior.

    Args:
        log_density: log q on the grid 2 pi j / P with respect to d theta / 2 pi, nats, (N, P).
        max_order: largest k tried; an object of a larger order gets its largest divisor up to this.
        share: of the energy that must lie in multiples of k. 0.9 takes two narrow modes of weights 0.65
            and 0.35 for one symmetric object, 0.7 and 0.3 for an asymmetric one.
        uniform_below: chi^2 distance to the uniform law, about twice KL in nats, below which there is no
            preferred angle.

    Returns:
        Orders (N,), whole numbers; 0 if any turn looks the same.

    Raises:
        ValueError: if the density is not normalised, or the grid has fewer than 4 max_order points.
    """
    log_q = as_log_density(log_density)
    _check_order(max_order, "max_order", 1)
    p = log_q.shape[1]
    if p < 4 * max_order:
        raise ValueError(
            f"log_density must have at least 4 max_order = {4 * max_order} grid angles; got {p}. Use a "
            "finer grid or a lower max_order."
        )
    power = np.abs(np.fft.rfft(np.exp(log_q), axis=1) / p)[:, 1:] ** 2  # l = 1, ..., P / 2
    total = power.sum(axis=1)
    order = np.zeros(len(log_q), dtype=np.int64)
    for k in range(1, max_order + 1):
        periodic = power[:, k - 1 :: k].sum(axis=1) >= share * total
        order[periodic] = k
    order[2 * total < uniform_below] = 0
    return order


def symmetry_order_accuracy(
    log_density: ArrayLike,
    true_orders: ArrayLike,
    max_order: int | None = None,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Score]:
    """How often `symmetry_order` finds the true order.

    Args:
        log_density: (N, P), see `symmetry_order`.
        true_orders: (N,) whole numbers >= 0.
        max_order: largest k tried; None means 8, or the largest true order if that is more.
        groups: source of each row, (N,), drawn together.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        accuracy: over all rows; the floor is always answering the commonest order, the ceiling 1.
        accuracy_order_k: over the objects of order k, one for each k there is.

    Raises:
        ValueError: if a true order is negative, not whole, or above max_order.
    """
    truth = as_array(true_orders, "true_orders", 1)
    if not np.array_equal(truth, np.round(truth)) or truth.min() < 0:
        raise ValueError(
            "true_orders must be whole numbers >= 0, 0 for objects that look the same after any turn; "
            f"got {truth[(truth < 0) | (truth != np.round(truth))][0]:g}."
        )
    check_lengths(log_density=log_density, true_orders=truth, groups=groups)
    max_order = max(8, int(truth.max())) if max_order is None else max_order
    if truth.max() > max_order:
        raise ValueError(
            f"max_order must reach the largest true order {int(truth.max())}; got {max_order}. Raise it."
        )
    right = (symmetry_order(log_density, max_order) == truth).astype(float)
    options = {"resamples": resamples, "seed": seed}
    orders, counts = np.unique(truth, return_counts=True)

    def score(rows: np.ndarray, floor: float | None) -> Score:
        sources = None if groups is None else np.asarray(groups)[rows]
        interval = mean_interval(right[rows], groups=sources, **options)
        return Score(
            right[rows].mean(),
            len(right[rows]),
            floor=floor,
            ceiling=1.0,
            interval=interval,
            page=PAGE,
        )

    scores = {"accuracy": score(np.full(len(truth), True), counts.max() / counts.sum())}
    for k in orders:
        scores[f"accuracy_order_{int(k)}"] = score(truth == k, None)
    return scores


def _check_order(order: int, name: str, least: int) -> None:
    whole = isinstance(order, int | np.integer) and not isinstance(order, bool)
    if not whole or order < least:
        raise ValueError(f"{name} must be a whole number >= {least}; got {order!r}.")
