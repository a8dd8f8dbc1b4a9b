"""UDR: do models that differ in their seed alone agree, column by column? As in the literature.

Reference: Duan et al., Unsupervised model selection for variational disentangled representation learning
(ICLR 2020).
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from eqvae.metrics.disentanglement.agreement import PAGE, same_rows
from eqvae.metrics.disentanglement.whitening import moving_columns
from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.score import Score

Method = Literal["lasso", "spearman"]


def unsupervised_disentanglement_ranking(
    codes_by_seed: Sequence[ArrayLike],
    *,
    method: Method = "lasso",
    kl_by_seed: Sequence[ArrayLike] | None = None,
    min_kl: float = 0.01,
    seed: int = 0,
) -> dict[str, Score]:
    """UDR, per axis, as in the literature.

    R_ij is |Lasso coefficient| (alpha = 0.1, standardised codes) or |Spearman correlation| between dimension
    i of one model and j of another. With s(R) the mean over columns and over rows of max^2 / sum, a model's
    score is the median over its partners. Equal axis-aligned codes have 1 (spearman) or 0.9 (lasso, which
    shrinks 1 to 0.9).

    Args:
        codes_by_seed: (N, D) of each model, rows showing the same images.
        method: of R.
        kl_by_seed: KL of each dimension, nats, (D,) of each model; below `min_kl` it is left out.
        min_kl: nats.
        seed: of the shuffled control.

    Returns:
        "udr/<number>" for each model, and "udr", their mean. Higher is better.

    Raises:
        ValueError: for an unknown method, mismatched numbers of rows, or NaN.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}; got {method!r}.")
    arrays, n = same_rows(codes_by_seed)
    about = {"n": n, "page": PAGE, "legacy": True}
    if len(arrays) < 2:
        return {"udr": Score.null(f"{len(arrays)} model: UDR needs two seeds", **about)}
    active = []
    for i, codes in enumerate(arrays):
        live = moving_columns(codes)
        if kl_by_seed is not None:
            kl = np.asarray(kl_by_seed[i], dtype=float)
            check_lengths(**{f"dimensions of model {i}": codes.shape[1], "kl": kl})
            live &= kl >= min_kl
        if not live.any():
            return {"udr": Score.null(f"model {i} has no active dimension", **about)}
        codes = codes[:, live]
        codes = rankdata(codes, axis=0) if method == "spearman" else codes
        active.append((codes - codes.mean(axis=0)) / codes.std(axis=0))
    values = np.full((len(active), len(active)), np.nan)
    for i, j in permutations(range(len(active)), 2):
        values[i, j] = _relative_strength(_relation(active[i], active[j], method))
    order = np.random.default_rng(seed).permutation(n)
    about["floor"] = _relative_strength(_relation(active[0], active[1][order], method))
    about["ceiling"] = 1.0 if method == "spearman" else 0.9
    each = np.nanmedian(values, axis=1)
    scores = {f"udr/{i}": Score(value, **about) for i, value in enumerate(each)}
    return scores | {"udr": Score(each.mean(), **about)}


def _relation(one: np.ndarray, two: np.ndarray, method: Method) -> np.ndarray:
    """|R|, (D of one, D of two)."""
    if method == "spearman":
        return np.abs(one.T @ two) / len(one)
    return np.abs(np.atleast_2d(Lasso(alpha=0.1).fit(one, two).coef_)).T


def _relative_strength(relation: np.ndarray) -> float:
    """Mean over columns and over rows of max^2 / sum; a row or column of zeros counts 0."""

    def along(axis: int) -> float:
        total = relation.sum(axis=axis)
        strength = np.divide(
            relation.max(axis=axis) ** 2, total, out=np.zeros_like(total), where=total > 0
        )
        return float(strength.mean())

    return (along(0) + along(1)) / 2
