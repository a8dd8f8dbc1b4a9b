"""Explicitness: how well a linear probe reads the factors from all codes together.

    explicitness = mean over classes of the area under the ROC curve, one class against the rest,

of multinomial logistic regression on held-out samples; 0.5 at chance, 1 for a perfect code.

Reference: Ridgeway, Mozer, Learning deep disentangled embeddings with the F-statistic loss (2018),
https://arxiv.org/abs/1802.05312.
"""

from typing import Unpack

import numpy as np
from scipy.stats import rankdata

from eqvae.metrics.disentanglement.held_out import HeldOutRows, Split, class_probabilities
from eqvae.metrics.disentanglement.histograms import class_factors
from eqvae.metrics.disentanglement.whitening import whitened_blocks
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_codes
from eqvae.metrics.score import Score

PAGE = "explicitness"


def explicitness(
    codes: Codes, factors: Factors, *, blocks: Blocks = None, bins: int = 20, **split: Unpack[Split]
) -> dict[str, Score]:
    """Explicitness of all codes together, on held-out samples.

    Args:
        codes: (N, D); every block is whitened first.
        factors: see `class_factors` for how they become classes.
        blocks: columns by block; None makes every column a block.
        bins: of continuous factors.
        **split: see `Split`; 2000 rows to fit on, 1000 to score on, 30 resamples.
    """
    codes = as_codes(codes)
    rows = HeldOutRows.of(len(codes), split, 2000, 1000, resamples=30)
    fit, held = rows.fit, rows.held
    known = dict(page=PAGE, legacy=blocks is None)
    points = whitened_blocks(codes, blocks)
    classes = class_factors(factors, len(codes), bins)
    labels = {k: v for k, v in classes.items() if len(fit) and v[fit].min() < v[fit].max()}
    if not points or not labels or len(held) < 10:
        reason = "too few samples or classes" if points else "all codes are constant"
        return {"explicitness": Score.null(reason, **known)}
    points = np.concatenate(points, axis=1)
    predicted = [
        # rounded: samples of equal codes tie, and a tie must not hang on the last digit
        (c, p.round(9), v[held])
        for v in labels.values()
        for c, p in [class_probabilities(points[fit], v[fit], points[held])]
    ]

    def mean_area(rows: np.ndarray) -> float:
        return np.mean([_areas(p[rows], v[rows], c).mean() for c, p, v in predicted])

    score = Score.of_statistic(mean_area, len(held), rows.scored, floor=0.5, ceiling=1.0, **known)
    return {"explicitness": score}


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
