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

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from eqvae.metrics.disentanglement.information import whiten
from eqvae.metrics.inputs import Blocks, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Score, mean_interval

MIN_ROWS = 2  # rows that must share a factor's value, so that a batch is not one sample many times


def factor_vae_score(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    batch: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    min_std: float = 0.0,
    bins: int = 10,
    seed: int = 0,
) -> dict[str, Score]:
    """FactorVAE score by majority vote.

    Args:
        codes: (N, D).
        factors: at least two; integers are classes, floats are cut at quantiles into `bins`, the columns
            of a vector one by one.
        blocks: columns by block; None is the per-axis score of the literature.
        batch: L, samples in a batch.
        train_votes: batches that fill the table.
        test_votes: batches that are scored.
        min_std: dimensions (blocks: in every direction) with a smaller standard deviation are left out. The
            study of Locatello et al. used 0.05; code that is in use has 0, which leaves out constants only.
        bins: of continuous factors.
        seed: of the batches.

    Returns:
        "factor_vae" and "factor_vae/active", the number of dimensions or blocks that took part. Higher is
        better, a perfect code has 1.

    Raises:
        ValueError: for mismatched lengths, NaN, or numbers of votes or batch that are too small.
    """
    _check(batch, train_votes, test_votes)
    codes = as_codes(codes)
    known = {"n": len(codes), "page": "factorvae-score", "legacy": blocks is None}
    values = factor_classes(as_factors(factors, len(codes)), bins)
    active = _active_blocks(codes, blocks, min_std)
    counted = Score(len(active), better="neither", **known)
    reason = _missing(values, active)
    if reason:
        return {"factor_vae": Score.null(reason, **known), "factor_vae/active": counted}
    white = [whiten(codes[:, columns]) for columns in active.values()]
    draws = _Draws(values, seed)

    def votes(count: int) -> tuple[np.ndarray, np.ndarray]:
        rows, factor = draws.batches(count, batch)
        ratio = [z[rows].var(axis=1, ddof=1).mean(axis=1) for z in white]
        return np.argmin(ratio, axis=0), factor  # an index of the active blocks, not of all

    voted, factor = _chunked(votes, train_votes)
    table = np.zeros((len(active), len(values)), int)
    np.add.at(table, (voted, factor), 1)
    voted, factor = _chunked(votes, test_votes)
    return {
        "factor_vae": _accuracy(table.argmax(axis=1)[voted] == factor, len(values), known, seed),
        "factor_vae/active": counted,
    }


def beta_vae_score(
    codes: ArrayLike,
    factors: Factors,
    *,
    blocks: Blocks | None = None,
    batch: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    bins: int = 10,
    seed: int = 0,
) -> dict[str, Score]:
    """BetaVAE score by logistic regression.

    Per axis, differences are those of the raw codes, as in the literature; per block they are
    whitened and standardised before the regression.

    Args:
        codes: (N, D).
        factors: as for `factor_vae_score`.
        blocks: columns by block; None is the per-axis score of the literature.
        batch: L, pairs in a batch.
        train_votes: batches that train the classifier.
        test_votes: batches that are scored.
        bins: of continuous factors.
        seed: of the batches.

    Returns:
        "beta_vae". Higher is better, a perfect code has 1, but so can an entangled one.

    Raises:
        ValueError: for mismatched lengths, NaN, or numbers of votes or batch that are too small.
    """
    _check(batch, train_votes, test_votes)
    codes = as_codes(codes)
    known = {"n": len(codes), "page": "betavae-score", "legacy": blocks is None}
    values = factor_classes(as_factors(factors, len(codes)), bins)
    active = _active_blocks(codes, blocks, 0.0)
    reason = _missing(values, active)
    if reason:
        return {"beta_vae": Score.null(reason, **known)}
    parts = [codes[:, columns] for columns in active.values()]
    if blocks is not None:
        parts = [whiten(part) for part in parts]
    draws = _Draws(values, seed)

    def differences(count: int) -> tuple[np.ndarray, np.ndarray]:
        first, second, factor = draws.pairs(count, batch)
        away = [np.linalg.norm(z[first] - z[second], axis=2).mean(axis=1) for z in parts]
        return np.stack(away, axis=1), factor

    x, factor = _chunked(differences, train_votes)
    scaler = StandardScaler(with_mean=blocks is not None, with_std=blocks is not None).fit(x)
    classifier = LogisticRegression(max_iter=2_000).fit(scaler.transform(x), factor)
    x, factor = _chunked(differences, test_votes)
    right = classifier.predict(scaler.transform(x)) == factor
    return {"beta_vae": _accuracy(right, len(values), known, seed)}


def _check(batch: int, train_votes: int, test_votes: int) -> None:
    for name, value, least in (
        ("batch", batch, 2),
        ("train_votes", train_votes, 50),
        ("test_votes", test_votes, 50),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}.")


def factor_classes(factors: dict[str, np.ndarray], bins: int) -> dict[str, np.ndarray]:
    """Every factor as classes; a vector gives the class of its tuple of bins."""
    classes = {}
    for name, values in factors.items():
        columns = values.reshape(len(values), -1)
        if columns.dtype.kind == "f":
            edges = np.quantile(columns, np.arange(1, bins) / bins, axis=0)
            columns = np.stack(
                [np.searchsorted(edges[:, j], columns[:, j]) for j in range(columns.shape[1])],
                axis=1,
            )
        classes[name] = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    return classes


def _active_blocks(codes, blocks: Blocks | None, min_std: float) -> dict[str, np.ndarray]:
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


class _Draws:
    """Draws rows that share a factor's value: rows sorted by value, one run of the order for each value."""

    def __init__(self, values: dict[str, np.ndarray], seed: int):
        self.generator = np.random.default_rng(seed)
        self.values = list(values.values())
        self.order = [np.argsort(value, kind="stable") for value in self.values]
        self.place = [np.argsort(order) for order in self.order]
        self.counts = [np.bincount(value) for value in self.values]
        # a row that is alone with its value can't be drawn with a partner
        self.shared = [
            np.flatnonzero(count[value] >= MIN_ROWS)
            for count, value in zip(self.counts, self.values, strict=True)
        ]

    def batches(self, count: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors (count,) and rows (count, batch) that share the value of their factor."""
        factor = self.generator.integers(len(self.values), size=count)
        rows = np.empty((count, batch), int)
        for k, value in enumerate(self.values):
            mine = np.flatnonzero(factor == k)
            fixed = value[self._anchors(k, (len(mine), 1))]
            first = np.cumsum(self.counts[k]) - self.counts[k]
            offset = self.generator.random((len(mine), batch)) * self.counts[k][fixed]
            rows[mine] = self.order[k][first[fixed] + offset.astype(int)]
        return rows, factor

    def pairs(self, count: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Two sets of rows (count, batch), pairs of different rows with one value, and factors (count,)."""
        factor = self.generator.integers(len(self.values), size=count)
        one, two = np.empty((2, count, batch), int)
        for k, value in enumerate(self.values):
            mine = np.flatnonzero(factor == k)
            anchor = self._anchors(k, (len(mine), batch))
            counts = self.counts[k][value[anchor]]
            first = (np.cumsum(self.counts[k]) - self.counts[k])[value[anchor]]
            # a step of 1 ... counts - 1 around the run never comes back to the anchor
            step = 1 + (self.generator.random(anchor.shape) * (counts - 1)).astype(int)
            place = first + (self.place[k][anchor] - first + step) % counts
            one[mine], two[mine] = anchor, self.order[k][place]
        return one, two, factor

    def _anchors(self, k: int, size: tuple[int, int]) -> np.ndarray:
        return self.shared[k][self.generator.integers(len(self.shared[k]), size=size)]


def _chunked(draw, count: int, size: int = 1_000) -> tuple[np.ndarray, np.ndarray]:
    """Many batches in bounded memory."""
    parts = [draw(min(size, count - done)) for done in range(0, count, size)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _accuracy(right: np.ndarray, num_factors: int, known: dict, seed: int) -> Score:
    interval = mean_interval(right.astype(float), seed=seed)
    return Score(right.mean(), floor=1 / num_factors, ceiling=1.0, interval=interval, **known)
