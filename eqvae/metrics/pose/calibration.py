"""Calibration of pose posteriors: how often the truth lies in the 50, 90 and 95 % credible sets.

The credible set of level L is the smallest set of poses that holds the mass L. The truth lies in it if the
mass of all likelier poses is below L:

    rank = Q{ g : q(g) > q(g_true) },      coverage(L) = share of rows with rank <= L.

If truth and posterior agree, the rank is uniform and coverage(L) = L; below L the posterior is
overconfident, above it is too wide. On a grid, the rank within the true cell (and cells of equal density)
is drawn uniformly, which makes it exactly uniform for a posterior that is constant on its cells.

Reference: Hyndman, Computing and graphing highest density regions (1996), The American Statistician 50.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.pose.gauge import Orders, as_labels, row_orders
from eqvae.metrics.score import Score, mean_interval

PAGE = "pose-calibration"
LEVELS = (0.5, 0.9, 0.95)


def as_log_density(values: ArrayLike) -> np.ndarray:
    """Log densities on a grid of angles, (N, P), checked to be normalised.

    Raises:
        ValueError: if the mean density over the circle is not 1, so that it isn't one with respect to
            d theta / 2 pi. -inf is allowed: no density.
    """
    array = np.asarray(
        values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64
    )
    lowest = np.isneginf(array)
    array = as_array(np.where(lowest, -800.0, array), "log_density", 2)  # exp(-800) is 0
    with np.errstate(over="ignore"):  # reported as a mass of inf
        mass = np.exp(array).mean(axis=1)
    worst = int(np.abs(mass - 1).argmax())
    if abs(mass[worst] - 1) > 0.01:
        raise ValueError(
            "log_density must be with respect to d theta / 2 pi, so that exp(log_density) has mean 1 in "
            f"each row; row {worst} has mean {mass[worst]:.4g}. Add log(2 pi) to a density per radian, "
            "log(P) to probabilities of P cells."
        )
    return array


def angle_calibration(
    log_density: ArrayLike,
    angle: ArrayLike,
    *,
    orders: Orders = 1,
    classes: ArrayLike | None = None,
    levels: Sequence[float] = LEVELS,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Score]:
    """Coverage of the highest-density sets of a posterior over angles, and their size.

    For an object of order k, any of k angles is as true as the given one, and one of them, drawn by seed,
    is tested: a posterior that holds only some of the k modes is overconfident.

    Args:
        log_density: log q on the grid 2 pi j / P with respect to d theta / 2 pi, nats, (N, P).
        angle: true angles in the model's frame, radians, (N,): the second column of `apply_gauge`, with
            a gauge fitted on other rows.
        orders: k of the stabiliser C_k, one for all or {class: k}; 0 draws any angle.
        classes: class of each row, (N,); needed if orders differ.
        levels: of the credible sets, between 0 and 1.
        groups: source of each row, (N,), drawn together.
        resamples: of the bootstrap.
        seed: of the equivalent angle, the ranks, the shuffle and the bootstrap.

    Returns:
        coverage_50, ...: share of truths inside. The ceiling is the level itself, the value of a perfect
            posterior; the floor is the coverage of the posteriors of other rows.
        size_50, ...: mean size of the sets, degrees; 360 times the level if nothing is known.

    Raises:
        ValueError: if the density is not normalised, a level is not in (0, 1), or lengths differ.
    """
    log_q, angle = as_log_density(log_density), as_array(angle, "angle", 1).astype(np.float64)
    n = check_lengths(log_density=log_q, angle=angle, groups=groups)
    _check_levels(levels)
    order = row_orders(orders, as_labels(classes, n))
    generator = np.random.default_rng(seed)
    p = log_q.shape[1]
    mass = np.exp(log_q)
    mass /= mass.sum(axis=1, keepdims=True)
    # an order of P cells or more is as good as any turn
    turn = np.floor(generator.random(n) * np.maximum(order, 1)) / np.maximum(order, 1)
    turn = np.where(order == 0, generator.random(n), turn)
    cell = np.rint((angle / (2 * np.pi) + turn) * p).astype(np.int64) % p
    rank = _rank(mass, cell, generator.random(n))
    shuffle = generator.permutation(n)
    chance = _rank(mass, cell[shuffle], generator.random(n))
    held = np.cumsum(-np.sort(-mass, axis=1), axis=1)
    sizes = {}
    for level in levels:
        whole = np.minimum((held < level).sum(axis=1), p - 1)  # cells below the level
        below = np.where(whole > 0, held[np.arange(n), whole - 1], 0.0)
        part = (level - below) / np.maximum(held[np.arange(n), whole] - below, 1e-300)
        sizes[level] = (whole + part) * 360 / p
    options = {"groups": groups, "resamples": resamples, "seed": seed}
    return _coverage_scores(rank, chance, sizes, "degrees", lambda level: 360 * level, options)


def position_calibration(
    loc: ArrayLike,
    scale: ArrayLike,
    position: ArrayLike,
    *,
    levels: Sequence[float] = LEVELS,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Score]:
    """Coverage of the ellipses of a Gaussian posterior over positions, and their area.

        rank = P(chi^2_2 < r^2) = 1 - exp(-r^2 / 2),      r^2 = sum (position - loc)^2 / scale^2

    Args:
        loc: means, pixels, (N, 2).
        scale: standard deviations, pixels, (N,), (N, 1) or (N, 2).
        position: true positions in the model's frame, pixels, (N, 2): the last columns of `apply_gauge`.
        levels: of the credible sets, between 0 and 1.
        groups: source of each row, (N,), drawn together.
        resamples: of the bootstrap.
        seed: of the shuffle and the bootstrap.

    Returns:
        coverage_50, ...: as in `angle_calibration`; size_50, ...: mean area, px^2.

    Raises:
        ValueError: if shapes differ, a scale is not positive, or a level is not in (0, 1).
    """
    loc, scale = as_array(loc, "loc", 2), as_array(scale, "scale", (1, 2)).astype(np.float64)
    position = as_array(position, "position", 2)
    n = check_lengths(loc=loc, scale=scale, position=position, groups=groups)
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

    chance = rank(position[np.random.default_rng(seed).permutation(n)])
    area = np.pi * scale.prod(axis=1)
    sizes = {level: area * chi2.ppf(level, 2) for level in levels}
    options = {"groups": groups, "resamples": resamples, "seed": seed}
    return _coverage_scores(rank(position), chance, sizes, "px^2", lambda level: None, options)


def _rank(mass: np.ndarray, cell: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Mass of the cells likelier than the true one, plus a random part of those as likely, (N,)."""
    own = mass[np.arange(len(mass)), cell][:, None]
    tied = np.abs(mass - own) <= 1e-12 * own
    likelier = np.where((mass > own) & ~tied, mass, 0).sum(axis=1)
    return likelier + uniform * np.where(tied, mass, 0).sum(axis=1)


def _check_levels(levels: Sequence[float]) -> None:
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"levels must lie between 0 and 1, such as 0.9; got {tuple(levels)}.")


def _coverage_scores(rank, chance, sizes, unit, guess_size, options) -> dict[str, Score]:
    scores, n = {}, len(rank)
    for level in sizes:
        covered = rank <= level
        scores[f"coverage_{100 * level:g}"] = Score(
            covered.mean(),
            n,
            "neither",
            floor=float((chance <= level).mean()) if n > 1 else None,
            ceiling=float(level),
            interval=mean_interval(covered, **options),
            page=PAGE,
        )
    for level, size in sizes.items():
        scores[f"size_{100 * level:g}"] = Score(
            size.mean(),
            n,
            "lower",
            floor=guess_size(level),
            interval=mean_interval(size, **options),
            unit=unit,
            page=PAGE,
        )
    return scores
