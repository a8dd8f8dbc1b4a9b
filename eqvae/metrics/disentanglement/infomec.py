"""InfoMEC: modularity, compactness (completeness) and explicitness, all in units of information.

With the normalised information N_bf = I(z_b; v_f) / H(v_f) over the B blocks that know something,

    InfoM = ( mean_b max_f N_bf / sum_f N_bf  -  1/F ) / (1 - 1/F)     a block knows one factor
    InfoC = ( mean_f max_b N_bf / sum_b N_bf  -  1/B ) / (1 - 1/B)     a factor is known to one block
    InfoE = mean_f ( 1 - CE_f / H(v_f) )                               a linear probe reads the factors

with CE_f the cross-entropy of multinomial logistic regression on held-out samples; for a number or a vector
the share of its variance that linear regression explains. Information is that of `information.py`: by
nearest neighbours, without bins, blind to the basis inside blocks.

Reference: Hsu, Dorrell, Whittington, Wu, Finn, Disentanglement via latent quantization (2023),
https://arxiv.org/abs/2305.18378. There every latent is one-dimensional, the probe is scored on the samples it
was fitted on, and a latent is dropped when its range is under an eighth of the largest; here blocks are
dropped that know no more than they know of shuffled factors.
"""

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.disentanglement.held_out import class_probabilities, split_rows
from eqvae.metrics.disentanglement.information import BlockInformation, block_information, whiten
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Score, bootstrap

PAGE = "infomec"


def concentration(normalised: np.ndarray) -> float:
    """Mean over rows of the largest share, rescaled so that equal shares give 0 and one share gives 1."""
    total = normalised.sum(axis=1)
    share = normalised.max(axis=1)[total > 0] / total[total > 0]
    even = 1 / normalised.shape[1]
    return float((share.mean() - even) / (1 - even)) if len(share) else 0.0


def infomec(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    train: int = 2000,
    test: int = 1000,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
    information: BlockInformation | None = None,
) -> dict[str, Score]:
    """InfoM, InfoC and InfoE.

    Args:
        codes: (N, D).
        factors: classes, numbers or vectors: (cos, sin) for an angle, (x, y) for a position.
        blocks: columns by block; None makes every column a block, as published.
        train: rows to fit the probe on.
        test: rows to score the probe on.
        groups: source of each row, for the interval and the split.
        resamples: of the intervals; neighbourhoods and probes stay as they are.
        seed: of the subsample, the split, the shuffled control and the resamples.
        information: what `block_information` made of the same codes, to share its cost.

    Returns:
        infom, infoc, infoe.
    """
    known = information or block_information(codes, factors, blocks=blocks, seed=seed)
    legacy = blocks is None
    active = known.active
    n = len(known.rows)
    sources = None if groups is None else np.asarray(groups)[known.rows]

    def score(of, reason: str) -> Score:
        if reason:
            return Score.null(reason, n=n, page=PAGE, legacy=legacy)
        return Score(
            of(known.normalised()[active]),
            n=n,
            floor=0.0,  # blocks that know all factors equally well; unrelated codes have no active block
            ceiling=1.0,
            interval=bootstrap(
                lambda rows: of(known.normalised(rows)[active]),
                n,
                groups=sources,
                resamples=resamples,
                seed=seed,
            ),
            page=PAGE,
            legacy=legacy,
        )

    empty = "" if active.any() else "no block knows more about the factors than about shuffled ones"
    one_factor = "" if len(known.factors) > 1 else "InfoM needs two factors that vary"
    one_block = "" if active.sum() > 1 else "InfoC needs two blocks that know something"
    return {
        "infom": score(concentration, one_factor or empty),
        "infoc": score(lambda normalised: concentration(normalised.T), empty or one_block),
        "infoe": _explicitness(codes, factors, blocks, train, test, groups, resamples, seed),
    }


def _explicitness(codes, factors, blocks, train, test, groups, resamples, seed) -> Score:
    codes = as_codes(codes)
    index = as_blocks(blocks, codes.shape[1]).values()
    points = np.concatenate([whiten(codes[:, columns]) for columns in index], axis=1)
    fit, held = split_rows(len(codes), train, test, groups, seed)
    legacy = blocks is None
    if points.shape[1] == 0 or len(fit) < 10 or len(held) < 10:
        reason = "all codes are constant" if points.shape[1] == 0 else "too few samples"
        return Score.null(reason, n=len(codes), page=PAGE, legacy=legacy)
    losses, baselines = [], []
    for values in as_factors(factors, len(codes)).values():
        measure = _class_losses if values.dtype.kind == "i" else _square_losses
        loss, baseline = measure(points, values, fit, held)
        if baseline.mean() > 0:
            losses.append(loss)
            baselines.append(baseline)
    if not losses:
        return Score.null("all factors are constant", n=len(codes), page=PAGE, legacy=legacy)

    def score(rows: np.ndarray | slice) -> float:
        pairs = zip(losses, baselines, strict=True)
        shares = [1 - loss[rows].mean() / max(blind[rows].mean(), 1e-12) for loss, blind in pairs]
        return float(np.mean(np.maximum(shares, 0)))

    return Score(
        score(slice(None)),
        n=len(held),
        floor=0.0,
        ceiling=1.0,
        interval=bootstrap(
            score,
            len(held),
            groups=None if groups is None else np.asarray(groups)[held],
            resamples=resamples,
            seed=seed,
        ),
        page=PAGE,
        legacy=legacy,
    )


def _class_losses(points, values, fit, held) -> tuple[np.ndarray, np.ndarray]:
    """-log p of the held-out classes by the probe, and by the frequencies of the classes alone."""
    known, counts = np.unique(values[fit], return_counts=True)
    if len(known) < 2:
        return np.zeros(len(held)), np.zeros(len(held))
    column = np.searchsorted(known, values[held]).clip(max=len(known) - 1)
    seen = known[column] == values[held]  # a class that training lacks has probability 0
    _, probability = class_probabilities(points[fit], values[fit], points[held])
    chosen = probability[np.arange(len(held)), column]
    losses = [np.where(seen, p, 0).clip(1e-12) for p in (chosen, (counts / len(fit))[column])]
    return -np.log(losses[0]), -np.log(losses[1])


def _square_losses(points, values, fit, held) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors on held-out samples of linear regression, and of the mean alone."""
    values = whiten(values)
    design = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(design[fit], values[fit], rcond=None)
    loss = np.square(values[held] - design[held] @ weights).sum(axis=1)
    return loss, np.square(values[held] - values[fit].mean(axis=0)).sum(axis=1)
