"""Importance-weighted bounds on the evidence, in float64 and one chunk of draws at a time.

With log weights l_k = log p(x|z_k) + log p(z_k) - log q(z_k|x), z_k ~ q(z|x),

    L_K(x) = E log (1/K sum_{k <= K} exp l_k)  <=  log p(x),      L_1 = ELBO,  L_K grows with K.

Of K draws, L_S for smaller S is the mean over all K / S groups of S successive draws. A group of ten is
made of ten groups of one and the logarithm is concave, so the estimates grow with S for every single
image, not only on average, as long as each S divides the next.

Densities of prior and posterior must be with respect to the same measure; see `haar.py`.

References: Burda, Grosse, Salakhutdinov, Importance weighted autoencoders (2016),
https://arxiv.org/abs/1509.00519, eq. (8) and theorem 1.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.score import Score, mean_interval

LogWeights = ArrayLike | Iterable[ArrayLike]  # (K, N), or chunks (k, N) of it
_PAGE = "importance-weighted-bound"


@dataclass(frozen=True)
class BoundEstimate:
    """Bounds of N images from K draws each.

    Attributes:
        num_samples: K.
        bounds: {S: (N,)} nats, for S = 1, 10, 100, ... < K and S = K.
        effective_fraction: (sum w)^2 / (K sum w^2), (N,), in [1/K, 1]; 1 when q is the posterior.
        standard_error: of the bound at K, (N,) nats, by the delta method; infinite at K = 1. Too small
            where the effective fraction is near 1/K: one draw then carries the whole sum.
    """

    num_samples: int
    bounds: dict[int, Tensor]
    effective_fraction: Tensor
    standard_error: Tensor


class StreamingLogMeanExp:
    """log of the mean of exp(l_k) over draws that arrive in chunks; memory does not grow with K.

    Example:
        >>> stream = StreamingLogMeanExp()
        >>> stream.update(torch.zeros(3, 2))
        >>> stream.result().bounds[3].tolist()
        [0.0, 0.0]
    """

    def __init__(self) -> None:
        self.count = 0
        self._log_sum: Tensor | None = None  # log sum_k w_k
        self._log_squares: Tensor | None = None  # log sum_k w_k^2
        self._levels: list[_Level] = [_Level()]

    def update(self, log_weights: Tensor) -> None:
        """Add draws.

        Args:
            log_weights: nats, (k, N); minus infinity is a weight of zero.

        Raises:
            ValueError: if they are not (k, N) with the N of before, NaN, or plus infinity.
        """
        chunk = torch.as_tensor(log_weights).detach().to("cpu", torch.float64)
        width = chunk.shape[-1] if self._log_sum is None else len(self._log_sum)
        if chunk.dim() != 2 or chunk.numel() == 0 or chunk.shape[1] != width:
            wanted = "(k, N)" if self._log_sum is None else f"(k, {width})"
            raise ValueError(
                f"log_weights must be {wanted}, draws by images; got {tuple(chunk.shape)}."
            )
        bad = chunk.isnan() | (chunk == math.inf)
        if bad.any():
            raise ValueError(
                f"log_weights must be finite or -inf; {int(bad.sum())} of {chunk.numel()} are NaN or "
                "+inf. Check the scales of the posterior."
            )
        self.count += len(chunk)
        self._log_sum = _log_add(self._log_sum, chunk.logsumexp(dim=0))
        self._log_squares = _log_add(self._log_squares, (2 * chunk).logsumexp(dim=0))
        for level in self._levels:
            chunk = level.update(chunk)
            if len(chunk) == 0:
                break
        else:
            while len(chunk):
                self._levels.append(_Level())
                chunk = self._levels[-1].update(chunk)

    def result(self) -> BoundEstimate:
        """The estimates from all draws so far.

        Raises:
            ValueError: if there were none.
        """
        if self._log_sum is None:
            raise ValueError("log_weights must hold at least one draw; got none.")
        log_k = math.log(self.count)
        bounds = {
            10**i: level.mean
            for i, level in enumerate(self._levels)
            if level.count and 10**i < self.count
        }
        fraction = (2 * self._log_sum - self._log_squares - log_k).exp().clamp(max=1)
        error = ((1 / fraction - 1) / max(self.count - 1, 1)).sqrt()
        return BoundEstimate(
            num_samples=self.count,
            bounds={**bounds, self.count: self._log_sum - log_k},
            effective_fraction=fraction,
            standard_error=error if self.count > 1 else torch.full_like(error, math.inf),
        )


class _Level:
    """Means over groups of 10^i draws: passes each ten of them on as one group of the next level."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | float = 0.0
        self._waiting: Tensor | None = None

    def update(self, groups: Tensor) -> Tensor:
        before = self.count
        self.count += len(groups)
        self.mean = self.mean * (before / self.count) + groups.sum(dim=0) / self.count
        if self._waiting is not None:
            groups = torch.cat([self._waiting, groups])
        full = len(groups) // 10 * 10
        self._waiting = groups[full:].clone()
        tens = groups[:full].reshape(full // 10, 10, groups.shape[1])
        return tens.logsumexp(dim=1) - math.log(10)


def _log_add(total: Tensor | None, more: Tensor) -> Tensor:
    return more if total is None else torch.logaddexp(total, more)


@torch.no_grad()
def estimate_bound(
    draw: Callable[[int], Tensor], num_samples: int, chunk: int = 100
) -> BoundEstimate:
    """Draw log weights chunk by chunk.

    Args:
        draw: k -> log weights of k fresh draws of every image of a batch, (k, B).
        num_samples: K, 500 to 5,000 for a number to report.
        chunk: draws at a time.

    Raises:
        ValueError: if a number is below 1, or `draw` gives another number of draws.
    """
    if num_samples < 1 or chunk < 1:
        raise ValueError(
            f"num_samples and chunk must be at least 1; got {num_samples} and {chunk}."
        )
    stream = StreamingLogMeanExp()
    while stream.count < num_samples:
        k = min(chunk, num_samples - stream.count)
        log_weights = draw(k)
        if len(log_weights) != k:
            raise ValueError(
                f"draw must return {k} draws when asked for {k}; got {len(log_weights)}."
            )
        stream.update(log_weights)
    return stream.result()


def importance_weighted_bound(
    log_weights: LogWeights | BoundEstimate,
    *,
    evidence: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Bounds on log p(x), averaged over the images.

    Args:
        log_weights: nats, (K, N), or an iterable of chunks (k, N) of draws, or a `BoundEstimate`.
        evidence: the exact log p(x) where it is known, (N,): the ceiling.
        groups: source of each image, (N,), for the interval.
        seed: of the bootstrap.

    Returns:
        `iw_bound` at K draws, `iw_bound_1` (the ELBO), `iw_bound_10`, ... at fewer, nats, higher is
        better; `effective_fraction` of the draws, at least 1/K, 1 for a perfect posterior; and
        `bound_standard_error`, nats: what the K draws leave uncertain in the mean bound.

    Raises:
        ValueError: if a weight is NaN, the shapes differ, or all weights of an image are zero.
    """
    estimate = log_weights if isinstance(log_weights, BoundEstimate) else _estimate(log_weights)
    k, bounds = estimate.num_samples, {s: b.numpy() for s, b in estimate.bounds.items()}
    n = len(bounds[k])
    if not np.isfinite(bounds[k]).all():
        raise ValueError(
            f"log_weights of {int((~np.isfinite(bounds[k])).sum())} of {n} images are all -inf: the "
            "likelihood or the prior is zero at every draw. Use more draws or a wider posterior."
        )
    check_lengths(log_weights=n, groups=groups, evidence=evidence)
    ceiling = None if evidence is None else float(as_array(evidence, "evidence", 1).mean())
    known = dict(n=n, page=_PAGE)

    def score(values: np.ndarray) -> Score:
        if not np.isfinite(values).all():
            return Score.null("some images have draws of weight zero", unit="nats", **known)
        interval = mean_interval(values, groups=groups, seed=seed)
        return Score(values.mean(), ceiling=ceiling, interval=interval, unit="nats", **known)

    scores = {"iw_bound": score(bounds[k])}
    scores |= {f"iw_bound_{s}": score(values) for s, values in bounds.items() if s < k}
    fraction = estimate.effective_fraction.numpy()
    scores["effective_fraction"] = Score(
        fraction.mean(),
        floor=1 / k,
        ceiling=1.0,
        interval=mean_interval(fraction, groups=groups, seed=seed),
        **known,
    )
    error = math.sqrt(float(estimate.standard_error.square().sum())) / n
    known |= dict(better="lower", unit="nats")
    scores["bound_standard_error"] = (
        Score(error, ceiling=0.0, **known)
        if k > 1
        else Score.null("one draw of each image tells nothing about the spread of draws", **known)
    )
    return scores


def _estimate(log_weights: LogWeights) -> BoundEstimate:
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
        estimate = log_weights if isinstance(log_weights, BoundEstimate) else _estimate(log_weights)
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

    def scores(self, *, groups: ArrayLike | None = None, seed: int = 0) -> dict[str, Score]:
        """As `importance_weighted_bound`, over all batches."""
        columns = _joined(self.bounds).cpu().T
        estimate = BoundEstimate(
            num_samples=self.sizes[-1],
            bounds=dict(zip(self.sizes, columns, strict=True)),
            effective_fraction=_joined(self.effective).cpu(),
            standard_error=_joined(self.errors).cpu(),
        )
        return importance_weighted_bound(estimate, groups=groups, seed=seed)


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    if len(state) == 0:
        raise ValueError("there are no log weights yet; call update(log_weights) first.")
    return torch.cat(state) if isinstance(state, list) else state
