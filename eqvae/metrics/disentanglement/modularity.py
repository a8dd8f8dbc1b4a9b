"""Modularity: does each code know only one factor?

    modularity = mean over b of  1 - sum_{f != f*} I_bf^2 / ((F - 1) I_bf*^2),    f* the factor b knows best

Modularity is a ratio, so a code that knows nothing scores as high as noise has it: 0.66 with five factors.
`block_modularity` therefore leaves out blocks that know no more than they know of shuffled factors.

Reference: Ridgeway, Mozer, Learning deep disentangled embeddings with the F-statistic loss (2018),
https://arxiv.org/abs/1802.05312.
"""

from typing import Unpack

import numpy as np

from eqvae.metrics.disentanglement.histograms import (
    class_factors,
    histogram_bins,
    table_information,
)
from eqvae.metrics.disentanglement.information import BlockInformation, block_information
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_codes
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "modularity"


def modularities(information: np.ndarray) -> np.ndarray:
    """m_b of every code, (B, F) -> (B,); 0 for a code that knows nothing at all."""
    squares = np.square(information)
    best = squares.max(axis=1)
    others = squares.sum(axis=1) - best
    dead = best <= 0
    return np.where(dead, 0, 1 - others / np.where(dead, 1, best) / (information.shape[1] - 1))


def modularity(
    codes: Codes, factors: Factors, *, bins: int = 20, **draws: Unpack[Draws]
) -> dict[str, Score]:
    """Modularity per column by histograms, the public protocol: constant columns count as 0.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes.
        bins: of every column over its own range.
        **draws: see `Draws`; 100 resamples.
    """
    resampling = Resampling.of(draws, resamples=100)
    codes = as_codes(codes)
    n = len(codes)
    labels = np.stack(list(class_factors(factors, n, bins).values()), axis=1)
    known = dict(page=PAGE, legacy=True)
    labels = labels[:, (labels != labels[:1]).any(axis=0)]
    if labels.shape[1] < 2:
        return {"modularity": Score.null("modularity needs two factors that vary", **known)}
    if not (codes.std(axis=0) > 0).any():
        return {"modularity": Score.null("all codes are constant", **known)}
    binned = histogram_bins(codes, bins)

    def value(binned: np.ndarray, labels: np.ndarray) -> float:
        return modularities(table_information(binned, labels)).mean()

    floor = value(binned, labels[resampling.generator().permutation(n)])
    score = Score.of_statistic(
        lambda rows: value(binned[rows], labels[rows]),
        n,
        resampling,
        floor=floor,
        ceiling=1.0,
        **known,
    )
    return {"modularity": score}


def block_modularity(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    information: BlockInformation | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Modularity per block over the blocks that know something; unchanged by a basis change inside blocks.

    Args:
        codes, factors, blocks, information, **draws: as for `block_mig`.

    Returns:
        modularity; 0 if every active block knows all factors equally well.
    """
    resampling = Resampling.of(draws)
    known = information or block_information(codes, factors, blocks=blocks, seed=resampling.seed)
    if len(known.factors) < 2:
        reason = "modularity needs two factors that vary"
        return {"modularity": Score.null(reason, page=PAGE)}
    active = known.active
    if not active.any():
        reason = "no block knows more about the factors than about shuffled ones"
        return {"modularity": Score.null(reason, n=len(known.rows), page=PAGE)}
    return known.scores(
        ["modularity"],
        lambda normalised: [modularities(normalised[active]).mean()],
        resampling,
        [0.0],  # unrelated codes have no active block, and so no score
        page=PAGE,
    )
