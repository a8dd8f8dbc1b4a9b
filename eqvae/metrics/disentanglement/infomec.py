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

from typing import Unpack

import numpy as np

from eqvae.metrics.disentanglement.held_out import HeldOutRows, Split, class_probabilities
from eqvae.metrics.disentanglement.information import BlockInformation, block_information
from eqvae.metrics.disentanglement.linear_losses import square_losses
from eqvae.metrics.disentanglement.whitening import whiten, whitened_blocks
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_codes, as_factors
from eqvae.metrics.score import Score

PAGE = "infomec"


def concentration(normalised: np.ndarray) -> float:
    """Mean over rows of the largest share, rescaled so that equal shares give 0 and one share gives 1."""
    total = normalised.sum(axis=1)
    share = normalised.max(axis=1)[total > 0] / total[total > 0]
    even = 1 / normalised.shape[1]
    return float((share.mean() - even) / (1 - even)) if len(share) else 0.0


def infomec(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    information: BlockInformation | None = None,
    **split: Unpack[Split],
) -> dict[str, Score]:
    """InfoM, InfoC and InfoE.

    Args:
        codes, factors, blocks: as for `block_information`; every column a block, as published, if None.
        information: what `block_information` made of the same codes, to share its cost.
        **split: see `Split`; 2000 rows to fit the probe on, 1000 to score it on. Neighbourhoods and probes
            stay as they are in resamples.

    Returns:
        infom, infoc, infoe.
    """
    codes = as_codes(codes)
    rows = HeldOutRows.of(len(codes), split, 2000, 1000)
    resampling = rows.resampling
    known = information or block_information(codes, factors, blocks=blocks, seed=resampling.seed)
    active, about = known.active, dict(page=PAGE, legacy=blocks is None)
    empty = "" if active.any() else "no block knows more about the factors than about shuffled ones"
    one_factor = "" if len(known.factors) > 1 else "InfoM needs two factors that vary"
    one_block = "" if active.sum() > 1 else "InfoC needs two blocks that know something"
    wanted = {
        "infom": (concentration, one_factor or empty),
        "infoc": (lambda shares: concentration(shares.T), empty or one_block),
    }
    missing = {name: reason for name, (_, reason) in wanted.items() if reason}
    found = {name: of for name, (of, _) in wanted.items() if name not in missing}
    # floor: blocks that know all factors equally well; unrelated codes have no active block
    scores = known.scores(
        list(found),
        lambda normalised: [of(normalised[active]) for of in found.values()],
        resampling,
        [0.0] * len(found),
        **about,
    )
    for name, reason in missing.items():
        scores[name] = Score.null(reason, n=len(known.rows), **about)
    return scores | {"infoe": _explicitness(codes, factors, blocks, rows)}


def _explicitness(codes: np.ndarray, factors: Factors, blocks: Blocks, rows: HeldOutRows) -> Score:
    n, about = len(codes), dict(page=PAGE, legacy=blocks is None)
    fit, held = rows.fit, rows.held
    points = whitened_blocks(codes, blocks)
    if not points or rows.smallest < 10:
        reason = "too few samples" if points else "all codes are constant"
        return Score.null(reason, n=n, **about)
    points = np.concatenate(points, axis=1)
    losses, baselines = [], []
    for values in as_factors(factors, n).values():
        if values.dtype.kind == "i":
            loss, baseline = _class_losses(points, values, fit, held)
        else:
            loss, baseline = square_losses(points, whiten(values), fit, held)
        if baseline.mean() > 0:
            losses.append(loss)
            baselines.append(baseline)
    if not losses:
        return Score.null("all factors are constant", n=n, **about)

    def explained(rows: np.ndarray) -> float:
        pairs = zip(losses, baselines, strict=True)
        shares = [1 - loss[rows].mean() / max(blind[rows].mean(), 1e-12) for loss, blind in pairs]
        return np.mean(np.maximum(shares, 0))

    return Score.of_statistic(explained, len(held), rows.scored, floor=0.0, ceiling=1.0, **about)


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
