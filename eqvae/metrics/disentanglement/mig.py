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

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.disentanglement.information import (
    BlockInformation,
    block_information,
    class_factors,
    histogram_bins,
    table_information,
)
from eqvae.metrics.inputs import Blocks, Factors, as_codes
from eqvae.metrics.score import Score, bootstrap

PAGE = "mig"


def gaps(normalised: np.ndarray) -> np.ndarray:
    """First minus second code of every factor; information / entropy (B, F) -> (F,).

    With a single code the second is nothing, 0.
    """
    ranked = np.sort(np.concatenate([normalised, np.zeros((2, normalised.shape[1]))]), axis=0)
    return ranked[-1] - ranked[-2]


def mig(
    codes: ArrayLike,
    factors: Factors,
    *,
    bins: int = 20,
    quantile: bool = False,
    groups: ArrayLike | None = None,
    resamples: int = 100,
    seed: int = 0,
) -> dict[str, Score]:
    """MIG per column by histograms, the public protocol.

    Args:
        codes: (N, D); the literature takes N = 10,000.
        factors: see `class_factors` for how they become classes.
        bins: of every column over its own range.
        quantile: bins of equal mass; one outlier 30 times out lowers a perfect 0.90 to 0.36 otherwise.
        groups: source of each row, for the interval.
        resamples: of the interval.
        seed: of the resamples and the shuffled control.

    Returns:
        mig, and mig/<factor> for each factor that varies. The floor shuffles the factors, the ceiling
        scores the factors themselves as codes: 20 bins do not hold 32 positions.
    """
    codes = as_codes(codes)
    n = len(codes)
    classes = {k: v for k, v in class_factors(factors, n, bins).items() if v.max() > 0}
    moving = codes[:, codes.std(axis=0) > 0]
    if not classes or moving.shape[1] == 0:
        what = "codes" if classes else "factors"
        return {"mig": Score.null(f"all {what} are constant", page=PAGE, legacy=True)}
    labels = np.stack(list(classes.values()), axis=1)
    binned = histogram_bins(moving, bins, quantile)

    def each(binned: np.ndarray, labels: np.ndarray) -> np.ndarray:
        entropy = np.array([table_information(v[:, None], v[:, None])[0, 0] for v in labels.T])
        return gaps(table_information(binned, labels) / np.maximum(entropy, 1e-12))

    value = each(binned, labels)
    floor = each(binned, labels[np.random.default_rng(seed).permutation(n)])
    ceiling = each(histogram_bins(labels.astype(float), bins, quantile), labels)
    interval = bootstrap(
        lambda rows: each(binned[rows], labels[rows]).mean(),
        n,
        groups=groups,
        resamples=resamples,
        seed=seed,
    )
    known = dict(n=n, page=PAGE, legacy=True)
    scores = {
        "mig": Score(
            value.mean(),
            floor=float(floor.mean()),
            ceiling=float(ceiling.mean()),
            interval=interval,
            **known,
        )
    }
    for f, name in enumerate(classes):
        scores[f"mig/{name}"] = Score(
            value[f], floor=float(floor[f]), ceiling=float(ceiling[f]), **known
        )
    return scores


def block_mig(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
    information: BlockInformation | None = None,
) -> dict[str, Score]:
    """MIG per block by nearest neighbours; unchanged by any basis change inside blocks.

    Args:
        codes: (N, D).
        factors: classes, numbers or vectors: (cos, sin) for an angle, (x, y) for a position.
        blocks: columns by block; None makes every column a block.
        groups: source of each row, for the interval.
        resamples: of the interval; neighbourhoods stay as they are.
        seed: of the subsample, the shuffled control and the resamples.
        information: what `block_information` made of the same codes, to share its cost.

    Returns:
        mig, and mig/<factor> for each factor that varies.
    """
    known = information or block_information(codes, factors, blocks=blocks, seed=seed)
    if not known.blocks or not known.factors:
        what = "codes" if known.factors else "factors"
        return {"mig": Score.null(f"all {what} are constant", page=PAGE)}
    value = gaps(known.normalised())
    floor = np.mean([gaps(null) for null in known.shuffled], axis=0)
    sources = None if groups is None else np.asarray(groups)[known.rows]
    n = len(known.rows)
    scores = {}
    for name, of in {
        "mig": slice(None),
        **{f"mig/{f}": i for i, f in enumerate(known.factors)},
    }.items():
        scores[name] = Score(
            value[of].mean(),
            n=n,
            floor=float(floor[of].mean()),
            ceiling=1.0,
            interval=bootstrap(
                lambda rows, of=of: gaps(known.normalised(rows))[of].mean(),
                n,
                groups=sources,
                resamples=resamples,
                seed=seed,
            ),
            page=PAGE,
        )
    return scores
