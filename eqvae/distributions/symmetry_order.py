"""The symmetry of an object, read from the posterior over its angle.

An object that looks the same after a turn by 2 pi / k has a posterior of period 2 pi / k: of its Fourier
coefficients only c_k, c_2k, ... are not zero. With c_l = mean of q(theta) exp(-i l theta),

    share(k) = sum over multiples l of k of |c_l|^2 / sum over all l >= 1 of |c_l|^2

is also the circular autocorrelation averaged over the turns of C_k. The order is the largest k whose share
is close to 1; a posterior without any energy, chi^2(q | uniform) = 2 sum |c_l|^2 near 0, is that of a disc.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike


def as_log_density(values: ArrayLike) -> np.ndarray:
    """Log densities on a grid of angles, (N, P), checked to be normalised.

    Raises:
        ValueError: if they are not (N, P), hold NaN or +inf, or the mean density over the circle is not 1,
            so that it isn't one with respect to d theta / 2 pi. -inf is allowed: no density.
    """
    if torch.is_tensor(values):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"log_density must be (N, P), rows by angles; got shape {array.shape}.")
    array = np.where(np.isneginf(array), -800.0, array)  # exp(-800) is 0
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f"log_density must be finite or -inf; {int(bad.sum())} of {array.size} values are NaN or "
            f"infinite, the first in row {int(np.argwhere(bad)[0, 0])}. Leave those rows out."
        )
    with np.errstate(over="ignore"):  # reported as a mass of inf
        mass = np.exp(array).mean(axis=1)
    worst = int(np.abs(mass - 1).argmax())
    if abs(mass[worst] - 1) > 0.01:
        raise ValueError(
            "log_density must be with respect to d theta / 2 pi, so that exp(log_density) has mean 1 in "
            f"each row; row {worst} has mean {mass[worst]:.4g}. Add log(2 pi) to a density per radian, "
            "log(P) to probabilities of P bins."
        )
    return array


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
        uniform_below: chi^2 distance to the uniform distribution, about twice KL in nats, below which
            there is no preferred angle.

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


def _check_order(order: int, name: str, least: int) -> None:
    whole = isinstance(order, int | np.integer) and not isinstance(order, bool)
    if not whole or order < least:
        raise ValueError(f"{name} must be a whole number >= {least}; got {order!r}.")
