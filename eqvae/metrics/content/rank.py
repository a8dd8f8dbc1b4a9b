"""How many dimensions the codes fill.

    effective rank = exp(H(p)),    p_k = sigma_k / sum sigma,    sigma_k the singular values of the codes

References: Roy, Vetterli, The effective rank (EUSIPCO 2007); Garrido et al., RankMe (ICML 2023). RankMe does
not centre.
"""

from typing import Unpack

import numpy as np
from scipy.special import entr

from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.inputs import Codes, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score


def effective_rank(
    codes: Codes, *, centred: bool = True, limit: int = 5_000, **draws: Unpack[Draws]
) -> dict[str, Score]:
    """Exponential of the entropy of the normalised singular values of codes.

    Args:
        codes: (N, D).
        centred: subtract the mean first; the published RankMe does not, and counts a mean far from zero
            as one more dimension.
        limit: at most so many random rows.
        **draws: see `Draws`; 50 resamples.

    Returns:
        "effective_rank", from 1 (a line) to min(N, D) (singular values all equal). Null for constant codes
        and for a single row.

    Raises:
        ValueError: if codes are not finite or lengths differ.
    """
    resampling = Resampling.of(draws, resamples=50)
    check_lengths(codes=codes, groups=resampling.groups)
    codes = as_codes(codes)
    rows = np.sort(resampling.generator().permutation(len(codes))[:limit])
    codes, resampling = codes[rows], resampling.of_rows(rows)
    n, dim = codes.shape
    if n < 2 or not varying(codes).any():
        reason = "a single row has no spread" if n < 2 else "the codes are constant"
        return {"effective_rank": Score.null(reason, n=n, page="effective-rank")}

    def rank(drawn: np.ndarray) -> float:
        drawn = codes[drawn]
        drawn = drawn - drawn.mean(axis=0) if centred else drawn
        # singular values through the smaller Gram matrix: D x D for long tables of codes
        gram = drawn.T @ drawn if dim <= n else drawn @ drawn.T
        sigma = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
        return float(np.exp(entr(sigma / sigma.sum()).sum())) if sigma.any() else float("nan")

    known = {"floor": 1.0, "ceiling": min(dim, n - 1 if centred else n), "page": "effective-rank"}
    return {"effective_rank": Score.of_statistic(rank, n, resampling, **known)}
