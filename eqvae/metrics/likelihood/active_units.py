"""Latent units that carry information: those whose posterior mean varies over the images.

    active  <=>  Var_x E[z_d|x] > threshold,    or the trace of the covariance for an irrep copy

Reference: Burda, Grosse, Salakhutdinov, Importance weighted autoencoders (2016), section 5.2. Irrep copies
are ours.
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score


def unit_variances(means: ArrayLike, copies: ArrayLike | None = None) -> np.ndarray:
    """How far the posterior means vary over the images: Var_x E[z_d|x], or the trace for an irrep copy.

    The trace is unchanged by a rotation of the copy's plane; the variance of one coordinate is not.

    Args:
        means: posterior means, (N, D).
        copies: irrep copy of each coordinate, 0, 1, ..., (D,), such as
            `Representation.copy_index`; None takes every coordinate for itself.

    Returns:
        (D,), or (number of copies,), in the square of the unit of the means.

    Raises:
        ValueError: if copies has another length, or leaves out a number.
    """
    means = as_codes(means, "means")
    variances = means.var(axis=0)
    if copies is None:
        return variances
    index = as_array(copies, "copies", 1)
    if len(index) != means.shape[1]:
        raise ValueError(
            f"copies must name the irrep copy of each of the {means.shape[1]} coordinates; "
            f"got {len(index)}."
        )
    if index.dtype.kind not in "iu" or set(index) != set(range(int(index.max()) + 1)):
        raise ValueError(f"copies must be numbers 0, 1, ... without gaps; got {index.tolist()}.")
    return np.bincount(index, weights=variances)


def active_units(
    means: ArrayLike,
    copies: ArrayLike | None = None,
    threshold: float = 0.01,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Number of latent coordinates, and of irrep copies, whose posterior mean varies over the images.

    A unit is active when Var_x E[z|x] > threshold (`unit_variances`).

    Args:
        means: posterior means, (N, D), on the scale of a standard normal prior: divide a position in
            pixels by the scale of its prior.
        copies: irrep copy of each coordinate, (D,); None leaves out `active_copies`.
        threshold: of the variance.
        **draws: see `Draws`; 100 resamples.

    Returns:
        `active_units`, between 0 and D, and `active_copies`.

    Raises:
        ValueError: if the threshold is negative, means are not finite, or copies do not fit.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is a variance and not negative; got {threshold}.")
    resampling = Resampling.of(draws, resamples=100)
    means = as_codes(means, "means")
    n, dim = check_lengths(means=means, groups=resampling.groups), means.shape[1]
    wanted = {"active_units": None} | ({} if copies is None else {"active_copies": copies})
    scores = {}
    for name, index in wanted.items():
        size = len(unit_variances(means, index))
        known = dict(better="neither", page="active-units")
        if n < 2:
            scores[name] = Score.null("one image has no variance over images", n=n, **known)
            continue

        def count(rows: np.ndarray, index=index) -> float:
            return float((unit_variances(means[rows], index) > threshold).sum())

        known["unit"] = "units" if size == dim and index is None else "copies"
        score = Score.of_statistic(count, n, resampling, floor=0.0, ceiling=size, **known)
        if score.interval is not None:
            low, high = score.interval
            score = replace(score, interval=(max(low, 0.0), min(high, float(size))))
        scores[name] = score
    return scores
