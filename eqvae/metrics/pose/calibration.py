"""Calibration of pose posteriors: how often the truth lies in the 50, 90 and 95 % credible sets.

The credible set of level L is the smallest set of poses that holds the mass L. The truth lies in it if the
mass of all likelier poses is below L:

    rank = Q{ g : q(g) > q(g_true) },      coverage(L) = share of rows with rank <= L.

If truth and posterior agree, the rank is uniform and coverage(L) = L; below L the posterior is
overconfident, above it is too wide. On a grid, the rank within the true bin (and bins of equal density) is
drawn uniformly, which makes it exactly uniform for a posterior that is constant on its bins.

Reference: Hyndman, Computing and graphing highest density regions (1996), The American Statistician 50.
"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from eqvae.distributions.symmetry_order import as_log_density
from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.pose.orders import Orders, as_labels, row_orders
from eqvae.metrics.score import Score

PAGE = "pose-calibration"
LEVELS = (0.5, 0.9, 0.95)


def angle_calibration(
    log_density: ArrayLike,
    angle: ArrayLike,
    *,
    orders: Orders = 1,
    classes: ArrayLike | None = None,
    levels: Sequence[float] = LEVELS,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Coverage of the highest-density sets of a posterior over angles, and their size.

    For an object of order k, any of k angles is as true as the given one, and one of them, drawn by seed,
    is tested: a posterior that holds only some of the k modes is overconfident.

    Args:
        log_density: log q on the grid 2 pi j / P with respect to d theta / 2 pi, nats, (N, P).
        angle: true angles in the model's frame, radians, (N,): the second column of `apply_gauge`, with
            a gauge fitted on other rows.
        orders: k of the stabiliser C_k, see `Orders`; 0 draws any angle.
        classes: class of each row, (N,); needed if orders differ.
        levels: of the credible sets, between 0 and 1.
        **draws: see `Draws`; the seed also draws the equivalent angle and the ranks.

    Returns:
        coverage_50, ...: share of truths inside. The ceiling is the level itself, the value of a perfect
            posterior; the floor is the coverage of the posteriors of other rows.
        size_50, ...: mean size of the sets, degrees; 360 times the level if nothing is known.

    Raises:
        ValueError: if the density is not normalised, a level is not in (0, 1), or lengths differ.
    """
    resampling = Resampling.of(draws, resamples=200)
    log_q, angle = as_log_density(log_density), as_array(angle, "angle", 1).astype(np.float64)
    n, p = check_lengths(log_density=log_q, angle=angle, groups=resampling.groups), log_q.shape[1]
    _check_levels(levels)
    order = row_orders(orders, as_labels(classes, n))
    generator = resampling.generator()
    mass = np.exp(log_q)
    mass /= mass.sum(axis=1, keepdims=True)
    # an order of P bins or more is as good as any turn
    turn = np.floor(generator.random(n) * np.maximum(order, 1)) / np.maximum(order, 1)
    turn = np.where(order == 0, generator.random(n), turn)
    bins = np.rint((angle / (2 * np.pi) + turn) * p).astype(np.int64) % p
    rank = _rank(mass, bins, generator.random(n))
    shuffle = generator.permutation(n)
    chance = _rank(mass, bins[shuffle], generator.random(n))
    sizes = {level: 360 * share for level, share in _least_shares(mass, levels).items()}
    guess = {level: 360 * level for level in levels}
    return _coverage_scores(rank, chance, sizes, "degrees", guess, resampling)


def position_calibration(
    loc: ArrayLike,
    scale: ArrayLike,
    position: ArrayLike,
    *,
    levels: Sequence[float] = LEVELS,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Coverage of the ellipses of a Gaussian posterior over positions, and their area.

        rank = P(chi^2_2 < r^2) = 1 - exp(-r^2 / 2),      r^2 = sum (position - loc)^2 / scale^2

    Args:
        loc: means, pixels, (N, 2).
        scale: standard deviations, pixels, (N,), (N, 1) or (N, 2).
        position: true positions in the model's frame, pixels, (N, 2): the last columns of `apply_gauge`.
        levels: of the credible sets, between 0 and 1.
        **draws: see `Draws`.

    Returns:
        coverage_50, ...: as in `angle_calibration`; size_50, ...: mean area, px^2.

    Raises:
        ValueError: if shapes differ, a scale is not positive, or a level is not in (0, 1).
    """
    resampling = Resampling.of(draws, resamples=200)
    loc, scale = as_array(loc, "loc", 2), as_array(scale, "scale", (1, 2)).astype(np.float64)
    position = as_array(position, "position", 2)
    n = check_lengths(loc=loc, scale=scale, position=position, groups=resampling.groups)
    if loc.shape[1] != 2 or position.shape[1] != 2 or scale.shape[1:] not in ((), (1,), (2,)):
        raise ValueError(
            "loc and position must be (N, 2), scale (N,), (N, 1) or (N, 2); got "
            f"{loc.shape}, {position.shape}, {scale.shape}."
        )
    if (scale <= 0).any():
        raise ValueError(f"scale must be positive, a standard deviation; got {scale.min():g}.")
    _check_levels(levels)
    scale = np.broadcast_to(scale.reshape(n, -1), (n, 2))

    def rank(truth: np.ndarray) -> np.ndarray:
        return -np.expm1(-(((truth - loc) / scale) ** 2).sum(axis=1) / 2)

    chance = rank(position[resampling.generator().permutation(n)])
    area = np.pi * scale.prod(axis=1)
    sizes = {level: area * chi2.ppf(level, 2) for level in levels}
    return _coverage_scores(rank(position), chance, sizes, "px^2", {}, resampling)


def _rank(mass: np.ndarray, bins: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Mass of the bins likelier than the true one, plus a random part of those as likely, (N,)."""
    own = mass[np.arange(len(mass)), bins][:, None]
    tied = np.abs(mass - own) <= 1e-12 * own
    likelier = np.where((mass > own) & ~tied, mass, 0).sum(axis=1)
    return likelier + uniform * np.where(tied, mass, 0).sum(axis=1)


def _least_shares(mass: np.ndarray, levels: Sequence[float]) -> dict[float, np.ndarray]:
    """By level, the smallest share of the circle that holds so much mass, (N,), from mass by bin (N, P)."""
    n, p = mass.shape
    held = np.cumsum(-np.sort(-mass, axis=1), axis=1)
    shares = {}
    for level in levels:
        whole = np.minimum((held < level).sum(axis=1), p - 1)  # bins below the level
        below = np.where(whole > 0, held[np.arange(n), whole - 1], 0.0)
        part = (level - below) / np.maximum(held[np.arange(n), whole] - below, 1e-300)
        shares[level] = (whole + part) / p
    return shares


def _check_levels(levels: Sequence[float]) -> None:
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"levels must lie between 0 and 1, such as 0.9; got {tuple(levels)}.")


def _coverage_scores(
    rank: np.ndarray,
    chance: np.ndarray,
    sizes: dict[float, np.ndarray],
    unit: str,
    guess: dict[float, float],
    resampling: Resampling,
) -> dict[str, Score]:
    """Coverage and size by level, from ranks of the truths (N,) and of those of other rows."""
    scores, several = {}, len(rank) > 1
    for level in sizes:
        known = {"better": "neither", "ceiling": level, "page": PAGE}
        floor = (chance <= level).mean() if several else None
        scores[f"coverage_{100 * level:g}"] = Score.of_mean(
            rank <= level, resampling, floor=floor, **known
        )
    for level, size in sizes.items():
        known = {"better": "lower", "unit": unit, "page": PAGE}
        scores[f"size_{100 * level:g}"] = Score.of_mean(
            size, resampling, floor=guess.get(level), **known
        )
    return scores
