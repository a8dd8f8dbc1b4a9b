"""Importance-weighted bounds of each image, from draws that come in chunks, in float64.

With log weights l_k = log p(x|z_k) + log p(z_k) - log q(z_k|x), z_k ~ q(z|x),

    L_K(x) = E log (1/K sum_{k <= K} exp l_k)  <=  log p(x),      L_1 = ELBO,  L_K grows with K.

Of K draws, L_S for smaller S is the mean over all K / S groups of S successive draws. A group of ten is
made of ten groups of one and the logarithm is concave, so the estimates grow with S for every single
image, not only on average, as long as each S divides the next.

Densities of prior and posterior must be with respect to the same measure, that of a pose the normalised Haar
measure d theta / 2 pi: where one is per radian and the other is not, every bound is wrong by log 2 pi = 1.84.

References: Burda, Grosse, Salakhutdinov, Importance weighted autoencoders (2016),
https://arxiv.org/abs/1509.00519, eq. (8) and theorem 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


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
