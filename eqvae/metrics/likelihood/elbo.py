"""Terms of the evidence lower bound, and bits per dimension.

    ELBO(x) = E_q log p(x|z) - sum_b KL_b(x)   nats, summed over pixels and latent coordinates,

averaged over images only at the end, so that no term changes with the image size or the batch size.
Tighter bounds are in `eqvae.metrics.likelihood.importance`.
"""

import math
from collections.abc import Mapping
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

_KNOWN = {"unit": "nats", "page": "elbo-and-kl"}


def kl_by_block(kl: Mapping[str, ArrayLike], **draws: Unpack[Draws]) -> dict[str, Score]:
    """KL(q(z|x) || p(z)) of each irrep block and in total.

    Args:
        kl: nats of each image by block, {name: (N,)}, or (N, d) by coordinate, which are summed.
            Estimates from draws of z may be negative for single images.
        **draws: see `Draws`.

    Returns:
        `kl` and `kl/<block>`, nats. 0 is a block that carries nothing; neither direction is better.

    Raises:
        ValueError: if a mean is negative beyond its own noise, which no KL can be.
    """
    resampling = Resampling.of(draws)
    blocks = _summed_by_block(kl, resampling)
    named = {"kl": sum(blocks.values())} | {f"kl/{name}": nats for name, nats in blocks.items()}
    return {
        name: Score.of_mean(nats, resampling, better="neither", **_KNOWN)
        for name, nats in named.items()
    }


def elbo_scores(
    log_likelihood: ArrayLike, kl: Mapping[str, ArrayLike], **draws: Unpack[Draws]
) -> dict[str, Score]:
    """The ELBO and its parts.

    Args:
        log_likelihood: E_q log p(x|z) of each image, summed over pixels, (N,) nats.
        kl, **draws: as for `kl_by_block`.

    Returns:
        `elbo` and `log_likelihood`, nats, higher is better, and the scores of `kl_by_block`.

    Raises:
        ValueError: if a KL is negative or the lengths differ.
    """
    resampling = Resampling.of(draws)
    values = as_array(log_likelihood, "log_likelihood", 1)
    kl_scores = kl_by_block(kl, **draws)
    check_lengths(log_likelihood=values, kl=kl_scores["kl"].n)
    total = sum(_summed_by_block(kl, resampling).values())
    parts = {"elbo": values - total, "log_likelihood": values}
    scores = {name: Score.of_mean(part, resampling, **_KNOWN) for name, part in parts.items()}
    return scores | kl_scores


def _summed_by_block(kl: Mapping[str, ArrayLike], resampling: Resampling) -> dict[str, np.ndarray]:
    """Nats of each image by block, (N,), checked."""
    if not kl:
        raise ValueError("kl must name at least one block; got none.")
    arrays = {name: as_array(values, f"kl of {name!r}", (1, 2)) for name, values in kl.items()}
    n = check_lengths(**arrays, groups=resampling.groups)
    blocks = {name: values.reshape(n, -1).sum(axis=1) for name, values in arrays.items()}
    for name, values in blocks.items():
        noise = 3 * values.std() / math.sqrt(n) + 1e-6 * (1 + np.abs(values).max())
        if values.mean() < -noise:
            raise ValueError(
                f"kl of {name!r} must not be negative; its mean is {values.mean():.4g} nats. Check the "
                "sign: KL = E_q[log q(z|x) - log p(z)]."
            )
    return blocks


def bits_per_dim(
    log_likelihood: ArrayLike, num_dims: int, levels: int = 256, **draws: Unpack[Draws]
) -> dict[str, Score]:
    """Nats of an image as bits for each of its values.

        bits = -log p(x) / (D log 2) + log2(levels)

    log2(levels) turns a density of x in [0, 1] into one on the scale 0..levels, where a grey value is
    one unit wide: 8 bits for 8-bit images. It bounds the code length of the grey values only if the
    density was measured at (grey value + u) / levels with u uniform on [0, 1].

    Args:
        log_likelihood: log p(x) or a bound on it, (N,) nats.
        num_dims: D = channels x height x width.
        levels: grey values between 0 and 1; 1 for discrete values, which need no conversion.
        **draws: see `Draws`.

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
    resampling = Resampling.of(draws)
    nats = as_array(log_likelihood, "log_likelihood", 1)
    check_lengths(log_likelihood=nats, groups=resampling.groups)
    bits = -nats / (num_dims * math.log(2)) + math.log2(levels)
    floor = math.log2(levels) if levels > 1 else None
    known = {"better": "lower", "unit": "bits/dim", "page": "bits-per-dimension"}
    return {"bits_per_dim": Score.of_mean(bits, resampling, floor=floor, **known)}
