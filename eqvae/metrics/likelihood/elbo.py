"""Terms of the evidence lower bound, bits per dimension, and units that carry information.

    ELBO(x) = E_q log p(x|z) - sum_b KL_b(x)   nats, summed over pixels and latent coordinates,

averaged over images only at the end, so that no term changes with the image size or the batch size.
Tighter bounds are in `eqvae.metrics.likelihood.importance`.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, as_codes, check_lengths
from eqvae.metrics.score import Score, bootstrap, mean_interval

_ELBO_PAGE = "elbo-and-kl"
_UNITS_PAGE = "active-units"


def kl_by_block(
    kl: Mapping[str, ArrayLike], *, groups: ArrayLike | None = None, seed: int = 0
) -> dict[str, Score]:
    """KL(q(z|x) || p(z)) of each irrep block and in total.

    Args:
        kl: nats of each image by block, {name: (N,)}, or (N, d) by coordinate, which are summed.
            Estimates from draws of z may be negative for single images.
        groups: source of each image, (N,), for the interval.
        seed: of the bootstrap.

    Returns:
        `kl` and `kl/<block>`, nats. 0 is a block that carries nothing; neither direction is better.

    Raises:
        ValueError: if a mean is negative beyond its own noise, which no KL can be.
    """
    if not kl:
        raise ValueError("kl must name at least one block; got none.")
    arrays = {name: as_array(values, f"kl of {name!r}", (1, 2)) for name, values in kl.items()}
    n = check_lengths(**arrays, groups=groups)
    blocks = {name: values.reshape(n, -1).sum(axis=1) for name, values in arrays.items()}
    for name, values in blocks.items():
        noise = 3 * values.std() / math.sqrt(n) + 1e-6 * (1 + np.abs(values).max())
        if values.mean() < -noise:
            raise ValueError(
                f"kl of {name!r} must not be negative; its mean is {values.mean():.4g} nats. Check the "
                "sign: KL = E_q[log q(z|x) - log p(z)]."
            )

    def score(values: np.ndarray) -> Score:
        interval = mean_interval(values, groups=groups, seed=seed)
        return Score(values.mean(), n, "neither", interval=interval, unit="nats", page=_ELBO_PAGE)

    named = {f"kl/{name}": score(values) for name, values in blocks.items()}
    return {"kl": score(sum(blocks.values())), **named}


def elbo_terms(
    log_likelihood: ArrayLike,
    kl: Mapping[str, ArrayLike],
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """The ELBO and its parts.

    Args:
        log_likelihood: E_q log p(x|z) of each image, summed over pixels, (N,) nats.
        kl: as in `kl_by_block`.
        groups: source of each image, (N,), for the interval.
        seed: of the bootstrap.

    Returns:
        `elbo` and `log_likelihood`, nats, higher is better, and the scores of `kl_by_block`.

    Raises:
        ValueError: if a KL is negative or the lengths differ.
    """
    values = as_array(log_likelihood, "log_likelihood", 1)
    kl_scores = kl_by_block(kl, groups=groups, seed=seed)
    n = check_lengths(log_likelihood=values, kl=kl_scores["kl"].n)
    total = sum(
        np.asarray(as_array(v, name, (1, 2))).reshape(n, -1).sum(1) for name, v in kl.items()
    )
    parts = {"elbo": values - total, "log_likelihood": values}
    return {
        name: Score(
            part.mean(),
            n,
            interval=mean_interval(part, groups=groups, seed=seed),
            unit="nats",
            page=_ELBO_PAGE,
        )
        for name, part in parts.items()
    } | kl_scores


def bits_per_dim(
    log_likelihood: ArrayLike,
    num_dims: int,
    levels: int = 256,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Nats of an image as bits for each of its values.

        bits = -log p(x) / (D log 2) + log2(levels)

    log2(levels) turns a density of x in [0, 1] into one on the scale 0..levels, where a grey value is
    one unit wide: 8 bits for 8-bit images. It bounds the code length of the grey values only if the
    density was measured at (grey value + u) / levels with u uniform on [0, 1].

    Args:
        log_likelihood: log p(x) or a bound on it, (N,) nats.
        num_dims: D = channels x height x width.
        levels: grey values between 0 and 1; 1 for a law of discrete values, which needs no conversion.
        groups: source of each image, (N,), for the interval.
        seed: of the bootstrap.

    Returns:
        `bits_per_dim`, lower is better; log2(levels) is what a uniform density gives.

    Raises:
        ValueError: if D or levels is below 1.
    """
    if num_dims < 1 or levels < 1:
        raise ValueError(
            f"num_dims and levels must be at least 1; got {num_dims} and {levels}. num_dims is "
            "channels x height x width."
        )
    nats = as_array(log_likelihood, "log_likelihood", 1)
    check_lengths(log_likelihood=nats, groups=groups)
    bits = -nats / (num_dims * math.log(2)) + math.log2(levels)
    score = Score(
        bits.mean(),
        len(bits),
        "lower",
        floor=math.log2(levels) if levels > 1 else None,
        interval=mean_interval(bits, groups=groups, seed=seed),
        unit="bits/dim",
        page="bits-per-dimension",
    )
    return {"bits_per_dim": score}


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
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Number of latent coordinates, and of irrep copies, whose posterior mean varies over the images.

    A unit is active when Var_x E[z|x] > threshold (`unit_variances`).

    Args:
        means: posterior means, (N, D), on the scale of a standard normal prior: divide a position in
            pixels by the scale of its prior.
        copies: irrep copy of each coordinate, (D,); None leaves out `active_copies`.
        threshold: of the variance.
        groups: source of each image, (N,), for the interval.
        seed: of the bootstrap.

    Returns:
        `active_units`, between 0 and D, and `active_copies`.

    Raises:
        ValueError: if the threshold is negative, means are not finite, or copies do not fit.

    References:
        Burda, Grosse, Salakhutdinov, Importance weighted autoencoders (2016), section 5.2. Irrep copies
        are ours.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is a variance and not negative; got {threshold}.")
    means = as_codes(means, "means")
    n, dim = check_lengths(means=means, groups=groups), means.shape[1]
    wanted = {"active_units": None} | ({} if copies is None else {"active_copies": copies})
    scores = {}
    for name, index in wanted.items():
        size = len(unit_variances(means, index))
        known = dict(n=n, better="neither", page=_UNITS_PAGE)
        if n < 2:
            scores[name] = Score.null("one image has no variance over images", **known)
            continue

        def count(rows: np.ndarray, index=index) -> float:
            return float((unit_variances(means[rows], index) > threshold).sum())

        scores[name] = Score(
            count(np.arange(n)),
            floor=0.0,
            ceiling=float(size),
            interval=_within(bootstrap(count, n, groups=groups, resamples=100, seed=seed), size),
            unit="units" if size == dim and index is None else "copies",
            **known,
        )
    return scores


def _within(interval: tuple[float, float] | None, size: int) -> tuple[float, float] | None:
    if interval is None:
        return None
    return max(interval[0], 0.0), min(interval[1], float(size))
