"""Importance-weighted bounds on log p(x), averaged over images.

`streaming.py` says what the bounds are and estimates them for each image.
"""

import math
from collections.abc import Iterable
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.likelihood.streaming import BoundEstimate, StreamingLogMeanExp
from eqvae.metrics.score import Score

LogWeights = ArrayLike | Iterable[ArrayLike]  # (K, N), or chunks (k, N) of it
_PAGE = "importance-weighted-bound"


def importance_weighted_bound(
    log_weights: LogWeights | BoundEstimate,
    *,
    evidence: ArrayLike | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Bounds on log p(x), averaged over the images.

    Args:
        log_weights: nats, (K, N), or an iterable of chunks (k, N) of draws, or a `BoundEstimate`.
        evidence: the exact log p(x) where it is known, (N,): the ceiling.
        **draws: see `Draws`.

    Returns:
        `iw_bound` at K draws, `iw_bound_1` (the ELBO), `iw_bound_10`, ... at fewer, nats, higher is
        better; `effective_fraction` of the draws, at least 1/K, 1 for a perfect posterior; and
        `bound_standard_error`, nats: what the K draws leave uncertain in the mean bound.

    Raises:
        ValueError: if a weight is NaN, the shapes differ, or all weights of an image are zero.
    """
    resampling = Resampling.of(draws)
    estimate = _estimate(log_weights)
    k, bounds = estimate.num_samples, {s: b.numpy() for s, b in estimate.bounds.items()}
    n = len(bounds[k])
    if not np.isfinite(bounds[k]).all():
        raise ValueError(
            f"log_weights of {int((~np.isfinite(bounds[k])).sum())} of {n} images are all -inf: the "
            "likelihood or the prior is zero at every draw. Use more draws or a wider posterior."
        )
    check_lengths(log_weights=n, groups=resampling.groups, evidence=evidence)
    ceiling = None if evidence is None else as_array(evidence, "evidence", 1).mean()
    known = dict(n=n, page=_PAGE)

    def score(values: np.ndarray) -> Score:
        if not np.isfinite(values).all():
            return Score.null("some images have draws of weight zero", unit="nats", **known)
        return Score.of_mean(values, resampling, ceiling=ceiling, unit="nats", **known)

    scores = {"iw_bound": score(bounds[k])}
    scores |= {f"iw_bound_{s}": score(values) for s, values in bounds.items() if s < k}
    fraction = estimate.effective_fraction.numpy()
    scores["effective_fraction"] = Score.of_mean(
        fraction, resampling, floor=1 / k, ceiling=1.0, **known
    )
    error = math.sqrt(float(estimate.standard_error.square().sum())) / n
    known |= dict(better="lower", unit="nats")
    scores["bound_standard_error"] = (
        Score(error, ceiling=0.0, **known)
        if k > 1
        else Score.null("one draw of each image tells nothing about the spread of draws", **known)
    )
    return scores


def _estimate(log_weights: LogWeights | BoundEstimate) -> BoundEstimate:
    if isinstance(log_weights, BoundEstimate):
        return log_weights
    if torch.is_tensor(log_weights) or isinstance(log_weights, np.ndarray):
        log_weights = [log_weights]
    stream = StreamingLogMeanExp()
    for chunk in log_weights:
        stream.update(chunk)
    return stream.result()


class ImportanceWeightedBound(Metric):
    """The mean bound over batches of images, as a torchmetrics class.

    `update` takes log weights (K, B) or a `BoundEstimate`, with the same K for every batch; `compute`
    gives {S: mean bound in nats} and `scores` the full result.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.add_state("bounds", default=[], dist_reduce_fx="cat")
        self.add_state("effective", default=[], dist_reduce_fx="cat")
        self.add_state("errors", default=[], dist_reduce_fx="cat")
        self.sizes: tuple[int, ...] | None = None

    def update(self, log_weights: Tensor | BoundEstimate) -> None:
        """Add a batch.

        Raises:
            ValueError: if the batch has another number of draws than those before.
        """
        estimate = _estimate(log_weights)
        sizes = tuple(estimate.bounds)
        if self.bounds and sizes != self.sizes:
            raise ValueError(
                f"every batch needs the same number of draws; got {sizes[-1]} after {self.sizes[-1]}."
            )
        self.sizes = sizes
        self.bounds.append(torch.stack(list(estimate.bounds.values()), dim=1).to(self.device))
        self.effective.append(estimate.effective_fraction.to(self.device))
        self.errors.append(estimate.standard_error.to(self.device))

    def compute(self) -> dict[int, Tensor]:
        means = _joined(self.bounds).mean(dim=0)
        return dict(zip(self.sizes, means, strict=True))

    def scores(self, **draws: Unpack[Draws]) -> dict[str, Score]:
        """As `importance_weighted_bound`, over all batches."""
        columns = _joined(self.bounds).cpu().T
        estimate = BoundEstimate(
            num_samples=self.sizes[-1],
            bounds=dict(zip(self.sizes, columns, strict=True)),
            effective_fraction=_joined(self.effective).cpu(),
            standard_error=_joined(self.errors).cpu(),
        )
        return importance_weighted_bound(estimate, **draws)


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    if len(state) == 0:
        raise ValueError("there are no log weights yet; call update(log_weights) first.")
    return torch.cat(state) if isinstance(state, list) else state
