"""Mutual information gap: does one code, and only one, know each factor?

    MIG = 1/F sum_f ( I(first; v_f) - I(second; v_f) ) / H(v_f),

first and second being the two codes that know most about v_f. `mig` takes columns as codes and measures I
by histograms, as the literature does; a perfect equivariant code fails it, since cos and sin of one angle
know the same. `block_mig` takes irrep blocks and measures I by nearest neighbours.

Reference: Chen, Li, Grosse, Duvenaud, Isolating sources of disentanglement in VAEs (2018),
https://arxiv.org/abs/1802.04942. Its own code takes samples of the exact posterior over the full data
set and leaves out the shape; disentanglement_lib takes means, 10,000 samples and all five factors of
dSprites, as here.
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

PAGE = "mig"


def code_gaps(normalised: np.ndarray) -> np.ndarray:
    """First minus second code of every factor; information / entropy (B, F) -> (F,).

    With a single code the second is nothing, 0.
    """
    ranked = np.sort(np.concatenate([normalised, np.zeros((2, normalised.shape[1]))]), axis=0)
    return ranked[-1] - ranked[-2]


def mig(
    codes: Codes,
    factors: Factors,
    *,
    bins: int = 20,
    quantile: bool = False,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """MIG per column by histograms, the public protocol.

    Args:
        codes: (N, D); the literature takes N = 10,000.
        factors: see `class_factors` for how they become classes.
        bins: of every column over its own range.
        quantile: bins of equal mass; one outlier 30 times out lowers a perfect 0.90 to 0.36 otherwise.
        **draws: see `Draws`; 100 resamples.

    Returns:
        mig, and mig/<factor> for each factor that varies. The floor shuffles the factors, the ceiling
        scores the factors themselves as codes: 20 bins do not hold 32 positions.
    """
    resampling = Resampling.of(draws, resamples=100)
    codes = as_codes(codes)
    n = len(codes)
    classes = {k: v for k, v in class_factors(factors, n, bins).items() if v.max() > 0}
    moving = codes[:, codes.std(axis=0) > 0]
    if not classes or moving.shape[1] == 0:
        return {"mig": _constant(classes, legacy=True)}
    labels = np.stack(list(classes.values()), axis=1)
    binned = histogram_bins(moving, bins, quantile)

    def each(binned: np.ndarray, labels: np.ndarray) -> np.ndarray:
        entropy = np.array([table_information(v[:, None], v[:, None])[0, 0] for v in labels.T])
        return code_gaps(table_information(binned, labels) / np.maximum(entropy, 1e-12))

    value = each(binned, labels)
    floor = each(binned, labels[resampling.generator().permutation(n)])
    ceiling = each(histogram_bins(labels.astype(float), bins, quantile), labels)
    interval = resampling.interval(lambda rows: each(binned[rows], labels[rows]).mean(), n)
    known = dict(n=n, page=PAGE, legacy=True)
    mean = Score(
        value.mean(), floor=floor.mean(), ceiling=ceiling.mean(), **known, interval=interval
    )
    return {"mig": mean} | {
        f"mig/{name}": Score(value[f], floor=floor[f], ceiling=ceiling[f], **known)
        for f, name in enumerate(classes)
    }


def block_mig(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    information: BlockInformation | None = None,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """MIG per block by nearest neighbours; unchanged by any basis change inside blocks.

    Args:
        codes, factors, blocks: as for `block_information`.
        information: what `block_information` made of the same codes, to share its cost.
        **draws: see `Draws`; neighbourhoods stay as they are in resamples.

    Returns:
        mig, and mig/<factor> for each factor that varies.
    """
    resampling = Resampling.of(draws)
    known = information or block_information(codes, factors, blocks=blocks, seed=resampling.seed)
    if not known.blocks or not known.factors:
        return {"mig": _constant(known.factors)}

    def mean_and_each(gap: np.ndarray) -> list[float]:
        return [gap.mean(), *gap]

    floor = np.mean([code_gaps(null) for null in known.shuffled], axis=0)
    return known.scores(
        ["mig", *(f"mig/{factor}" for factor in known.factors)],
        lambda normalised: mean_and_each(code_gaps(normalised)),
        resampling,
        mean_and_each(floor),
        page=PAGE,
    )


def _constant(factors: object, legacy: bool = False) -> Score:
    what = "codes" if factors else "factors"
    return Score.null(f"all {what} are constant", page=PAGE, legacy=legacy)
