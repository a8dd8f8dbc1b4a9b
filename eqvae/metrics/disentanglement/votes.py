"""FactorVAE and BetaVAE scores: can one tell from the codes of a batch which factor it was drawn with fixed?

Draw a factor k and a batch of L samples (or L pairs) that share the value of factor k and differ in all
else. From the codes of a batch:

    FactorVAE   d* = argmin_d var_batch(z_d) / var(z_d); a table of votes (d*, k), each d* votes for its most
                frequent k
    BetaVAE     the vector mean_l |z_l - z'_l|; a linear classifier predicts k

and the score is the accuracy on new batches. Chance is about 1 / F. Per block b, the ratio and the
difference are those of whitened codes, so that no basis inside the block matters:

    FactorVAE   trace(S_b^-1 S_b,batch) / dim b           BetaVAE   mean_l sqrt((z - z')^T S_b^-1 (z - z'))

Only arrays are needed: batches are drawn with replacement from the rows of the data.

References: Kim, Mnih, Disentangling by factorising (ICML 2018), section 2 and appendix B. Higgins et al.,
beta-VAE (ICLR 2017), section 3. Protocol: Locatello et al., Challenging common assumptions (ICML 2019).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict, Unpack

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.disentanglement.fixed_factor import MIN_ROWS, FixedFactorBatches, chunked
from eqvae.metrics.disentanglement.histograms import quantile_classes
from eqvae.metrics.disentanglement.whitening import whiten
from eqvae.metrics.inputs import (
    Blocks,
    Codes,
    Factors,
    as_blocks,
    as_codes,
    as_factors,
    check_keywords,
)
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score


class Votes(TypedDict, total=False):
    """Keywords of both scores; each may be left out.

    Attributes:
        batch: L, samples or pairs in a batch; default 64.
        train_votes: batches that fill the table or train the classifier; default 10,000.
        test_votes: batches that are scored; default 5,000.
        bins: of continuous factors; default 10.
        seed: of the batches; default 0.
    """

    batch: int
    train_votes: int
    test_votes: int
    bins: int
    seed: int


def factor_vae_score(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    min_std: float = 0.0,
    **votes: Unpack[Votes],
) -> dict[str, Score]:
    """FactorVAE score by majority vote.

    Args:
        codes: (N, D).
        factors: at least two; integers are classes, floats are cut at quantiles into `bins`, the columns
            of a vector one by one.
        blocks: columns by block; None is the per-axis score of the literature.
        min_std: dimensions (blocks: in every direction) with a smaller standard deviation are left out. The
            study of Locatello et al. used 0.05; code that is in use has 0, which leaves out constants only.
        **votes: see `Votes`.

    Returns:
        "factor_vae" and "factor_vae/active", the number of dimensions or blocks that took part. Higher is
        better, a perfect code has 1.

    Raises:
        ValueError: for mismatched lengths, NaN, or numbers of votes or batch that are too small.
    """
    protocol = _Protocol.of("factorvae-score", codes, factors, blocks, min_std, votes)
    counted = Score(len(protocol.active), better="neither", **protocol.known)
    if protocol.reason:
        return {
            "factor_vae": Score.null(protocol.reason, **protocol.known),
            "factor_vae/active": counted,
        }
    white = [whiten(part) for part in protocol.parts]

    def played(count: int) -> tuple[np.ndarray, np.ndarray]:
        rows, factor = protocol.batches.batches(count, protocol.batch)
        ratio = [z[rows].var(axis=1, ddof=1).mean(axis=1) for z in white]
        return np.argmin(ratio, axis=0), factor  # an index of the active blocks, not of all

    voted, factor = chunked(played, protocol.train_votes)
    table = np.zeros((len(protocol.active), len(protocol.values)), int)
    np.add.at(table, (voted, factor), 1)
    voted, factor = chunked(played, protocol.test_votes)
    right = table.argmax(axis=1)[voted] == factor
    return {"factor_vae": protocol.accuracy(right), "factor_vae/active": counted}


def beta_vae_score(
    codes: Codes, factors: Factors, *, blocks: Blocks = None, **votes: Unpack[Votes]
) -> dict[str, Score]:
    """BetaVAE score by logistic regression.

    Per axis, differences are those of the raw codes, as in the literature; per block they are
    whitened and standardised before the regression.

    Args:
        codes, factors, blocks, **votes: as for `factor_vae_score`.

    Returns:
        "beta_vae". Higher is better, a perfect code has 1, but so can an entangled one.

    Raises:
        ValueError: for mismatched lengths, NaN, or numbers of votes or batch that are too small.
    """
    protocol = _Protocol.of("betavae-score", codes, factors, blocks, 0.0, votes)
    if protocol.reason:
        return {"beta_vae": Score.null(protocol.reason, **protocol.known)}
    parts = protocol.parts if blocks is None else [whiten(part) for part in protocol.parts]

    def differences(count: int) -> tuple[np.ndarray, np.ndarray]:
        first, second, factor = protocol.batches.pairs(count, protocol.batch)
        away = [np.linalg.norm(z[first] - z[second], axis=2).mean(axis=1) for z in parts]
        return np.stack(away, axis=1), factor

    x, factor = chunked(differences, protocol.train_votes)
    scaler = StandardScaler(with_mean=blocks is not None, with_std=blocks is not None).fit(x)
    classifier = LogisticRegression(max_iter=2_000).fit(scaler.transform(x), factor)
    x, factor = chunked(differences, protocol.test_votes)
    return {"beta_vae": protocol.accuracy(classifier.predict(scaler.transform(x)) == factor)}


@dataclass(frozen=True)
class _Protocol:
    """What both scores start from.

    Attributes:
        codes: (N, D).
        values: factors as classes.
        active: columns of the blocks that vary.
        batch, train_votes, test_votes, seed: see `Votes`.
        known: fields of every score.
    """

    codes: np.ndarray
    values: dict[str, np.ndarray]
    active: dict[str, np.ndarray]
    batch: int
    train_votes: int
    test_votes: int
    seed: int
    known: dict[str, Any]

    @classmethod
    def of(cls, page, codes, factors, blocks, min_std: float, votes: Votes) -> "_Protocol":
        check_keywords(votes, Votes)
        sizes = {"batch": 64, "train_votes": 10_000, "test_votes": 5_000, "seed": 0, **votes}
        bins = sizes.pop("bins", 10)
        for name, least in {"batch": 2, "train_votes": 50, "test_votes": 50}.items():
            if sizes[name] < least:
                raise ValueError(f"{name} must be at least {least}; got {sizes[name]}.")
        codes = as_codes(codes)
        values = quantile_classes(as_factors(factors, len(codes)), bins)
        active = _active_blocks(codes, blocks, min_std)
        known = {"n": len(codes), "page": page, "legacy": blocks is None}
        return cls(codes, values, active, known=known, **sizes)

    @property
    def parts(self) -> list[np.ndarray]:
        """Codes of each active block, (N, d)."""
        return [self.codes[:, columns] for columns in self.active.values()]

    @property
    def reason(self) -> str:
        """Why the score can't be measured; empty if it can."""
        return _missing(self.values, self.active)

    @cached_property
    def batches(self) -> FixedFactorBatches:
        return FixedFactorBatches(self.values, self.seed)

    def accuracy(self, right: np.ndarray) -> Score:
        """The share of batches whose factor was found, (M,) of bool."""
        known = {"floor": 1 / len(self.values), "ceiling": 1.0, **self.known}
        return Score.of_mean(right, Resampling(seed=self.seed), **known)


def _active_blocks(codes, blocks: Blocks, min_std: float) -> dict[str, np.ndarray]:
    spread = codes.std(axis=0, ddof=1) if len(codes) > 1 else np.zeros(codes.shape[1])
    rounding = 1e-12 * np.abs(codes).max(axis=0)
    live = spread > np.maximum(rounding, min_std * (min_std > 0))
    index = as_blocks(blocks, codes.shape[1])
    return {name: columns for name, columns in index.items() if live[columns].any()}


def _missing(values: dict[str, np.ndarray], active: dict) -> str:
    """Why the score can't be measured; empty if it can."""
    if len(values) < 2:
        return "one factor: telling factors apart needs at least two"
    if not active:
        return "every code dimension is constant"
    for name, value in values.items():
        counts = np.bincount(value)
        if len(counts) < 2:
            return f"factor {name!r} has one value only, so that fixing it changes nothing"
        if np.median(counts) < MIN_ROWS:
            return (
                f"factor {name!r} has {len(counts)} values for {len(value)} rows; a batch with one fixed "
                f"needs at least {MIN_ROWS} rows a value"
            )
    return ""
