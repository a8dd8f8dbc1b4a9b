"""Modularity: does each code know only one factor? Explicitness: can the factors be read off linearly?

    modularity    m_b = 1 - sum_{f != f*} I_bf^2 / ((F - 1) I_bf*^2),  f* the factor b knows best; mean over b
    explicitness  area under the ROC curve of logistic regression, one class against the rest; mean

Modularity is a ratio, so a code that knows nothing scores as high as noise has it: 0.66 with five factors.
`block_modularity` therefore leaves out blocks that know no more than they know of shuffled factors.

Reference: Ridgeway, Mozer, Learning deep disentangled embeddings with the F-statistic loss (2018),
https://arxiv.org/abs/1802.05312.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from eqvae.metrics.disentanglement.held_out import class_probabilities, split_rows
from eqvae.metrics.disentanglement.information import (
    BlockInformation,
    block_information,
    class_factors,
    histogram_bins,
    table_information,
    whiten,
)
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes
from eqvae.metrics.score import Score, bootstrap

MODULARITY, EXPLICITNESS = "modularity", "explicitness"


def modularities(information: np.ndarray) -> np.ndarray:
    """m_b of every code, (B, F) -> (B,); 0 for a code that knows nothing at all."""
    squares = np.square(information)
    best = squares.max(axis=1)
    others = squares.sum(axis=1) - best
    dead = best <= 0
    return np.where(dead, 0, 1 - others / np.where(dead, 1, best) / (information.shape[1] - 1))


def modularity(
    codes: ArrayLike,
    factors: Factors,
    *,
    bins: int = 20,
    groups: ArrayLike | None = None,
    resamples: int = 100,
    seed: int = 0,
) -> dict[str, Score]:
    """Modularity per column by histograms, the public protocol: constant columns count as 0.

    Args:
        codes: (N, D).
        factors: see `class_factors` for how they become classes.
        bins: of every column over its own range.
        groups: source of each row, for the interval.
        resamples: of the interval.
        seed: of the resamples and the shuffled control.
    """
    codes = as_codes(codes)
    n = len(codes)
    labels = np.stack(list(class_factors(factors, n, bins).values()), axis=1)
    known = dict(page=MODULARITY, legacy=True)
    labels = labels[:, (labels != labels[:1]).any(axis=0)]
    if labels.shape[1] < 2:
        return {"modularity": Score.null("modularity needs two factors that vary", **known)}
    if not (codes.std(axis=0) > 0).any():
        return {"modularity": Score.null("all codes are constant", **known)}
    binned = histogram_bins(codes, bins)

    def score(binned: np.ndarray, labels: np.ndarray) -> float:
        return float(modularities(table_information(binned, labels)).mean())

    shuffled = labels[np.random.default_rng(seed).permutation(n)]
    interval = bootstrap(
        lambda rows: score(binned[rows], labels[rows]),
        n,
        groups=groups,
        resamples=resamples,
        seed=seed,
    )
    value, floor = score(binned, labels), score(binned, shuffled)
    return {"modularity": Score(value, n=n, floor=floor, ceiling=1.0, interval=interval, **known)}


def block_modularity(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
    information: BlockInformation | None = None,
) -> dict[str, Score]:
    """Modularity per block over the blocks that know something; unchanged by a basis change inside blocks.

    Args:
        codes: (N, D).
        factors: classes, numbers or vectors.
        blocks: columns by block; None makes every column a block.
        groups: source of each row, for the interval.
        resamples: of the interval; neighbourhoods stay as they are.
        seed: of the subsample, the shuffled control and the resamples.
        information: what `block_information` made of the same codes, to share its cost.

    Returns:
        modularity; 0 if every active block knows all factors equally well.
    """
    known = information or block_information(codes, factors, blocks=blocks, seed=seed)
    if len(known.factors) < 2:
        reason = "modularity needs two factors that vary"
        return {"modularity": Score.null(reason, page=MODULARITY)}
    active = known.active
    if not active.any():
        reason = "no block knows more about the factors than about shuffled ones"
        return {"modularity": Score.null(reason, n=len(known.rows), page=MODULARITY)}
    return {
        "modularity": Score(
            modularities(known.normalised()[active]).mean(),
            n=len(known.rows),
            floor=0.0,  # unrelated codes have no active block, and so no score
            ceiling=1.0,
            interval=bootstrap(
                lambda rows: modularities(known.normalised(rows)[active]).mean(),
                len(known.rows),
                groups=None if groups is None else np.asarray(groups)[known.rows],
                resamples=resamples,
                seed=seed,
            ),
            page=MODULARITY,
        )
    }


def explicitness(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    bins: int = 20,
    train: int = 2000,
    test: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Explicitness of all codes together, on held-out samples.

    Args:
        codes: (N, D); every block is whitened first.
        factors: see `class_factors` for how they become classes.
        blocks: columns by block; None makes every column a block.
        bins: of continuous factors.
        train: rows to fit on.
        test: rows to score on.
        groups: source of each row; a source is never on both sides of the split.
        seed: of the split and the resamples.
    """
    codes = as_codes(codes)
    known = dict(page=EXPLICITNESS, legacy=blocks is None)
    parts = [whiten(codes[:, c]) for c in as_blocks(blocks, codes.shape[1]).values()]
    points = np.concatenate(parts, axis=1)
    fit, held = split_rows(len(codes), train, test, groups, seed)
    classes = class_factors(factors, len(codes), bins)
    labels = {k: v for k, v in classes.items() if len(fit) and v[fit].min() < v[fit].max()}
    if points.shape[1] == 0 or not labels or len(held) < 10:
        reason = "all codes are constant" if points.shape[1] == 0 else "too few samples or classes"
        return {"explicitness": Score.null(reason, **known)}
    predicted = [
        # rounded: samples of equal codes tie, and a tie must not hang on the last digit
        (c, p.round(9), v[held])
        for v in labels.values()
        for c, p in [class_probabilities(points[fit], v[fit], points[held])]
    ]

    def score(rows: np.ndarray) -> float:
        return float(np.mean([_areas(p[rows], v[rows], c).mean() for c, p, v in predicted]))

    sources = None if groups is None else np.asarray(groups)[held]
    return {
        "explicitness": Score(
            score(np.arange(len(held))),
            n=len(held),
            floor=0.5,
            ceiling=1.0,
            interval=bootstrap(score, len(held), groups=sources, resamples=30, seed=seed),
            **known,
        )
    }


def _areas(probability: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Areas under the ROC curve, one class against the rest, of the classes that `truth` holds.

    By ranks, all classes at once: scikit-learn's one call a class takes most of the time in a bootstrap.
    """
    member = truth[:, None] == classes
    count = member.sum(axis=0)
    rest = len(truth) - count
    wins = (rankdata(probability, axis=0) * member).sum(axis=0) - count * (count + 1) / 2
    there = (count > 0) & (rest > 0)
    return wins[there] / (count * rest)[there]
