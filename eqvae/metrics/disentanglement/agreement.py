"""Do models that differ in their seed alone find the same blocks? No labels are needed.

For two models' codes of the same images, the similarity of block b of one and block c of the other is the
centred kernel alignment of the whitened blocks, the mean squared canonical correlation:

    CKA(b, c) = |U_b^T U_c|_F^2 / sqrt(dim b dim c),      U = whitened codes / sqrt(N - 1)

It is 1 for blocks that are invertible linear images of each other and does not see the basis inside a
block. Blocks are matched one to one (the assignment with the largest sum), and a block's score is the mean
over pairs of models. Agreement is not truth: models can agree on an entangled code.

References: Duan et al., Unsupervised model selection for variational disentangled representation learning
(ICLR 2020): UDR. Kornblith et al., Similarity of neural network representations revisited (ICML 2019): CKA.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from eqvae.metrics.disentanglement.information import whiten
from eqvae.metrics.inputs import Blocks, as_blocks, as_codes, check_lengths
from eqvae.metrics.score import Score, bootstrap

PAGE = "agreement-of-seeds"
Method = Literal["lasso", "spearman"]
Model = dict[str, np.ndarray]  # block name -> whitened codes (N, d)


def seed_agreement(
    codes_by_seed: Sequence[tuple[ArrayLike, Blocks | None]],
    *,
    groups: ArrayLike | None = None,
    resamples: int = 20,
    seed: int = 0,
) -> dict[str, Score]:
    """Agreement of models block by block.

    Args:
        codes_by_seed: (codes (N, D), blocks) of each model, rows showing the same images.
        groups: source of each row for the intervals, (N,).
        resamples: of the intervals.
        seed: of the shuffled control and the intervals.

    Returns:
        "agreement/<block>" for each block name, mean over models and partners; "agreement", the mean over
        blocks; and "agreement/same_name", the fraction of blocks matched to one of their own name. Higher
        is better, 1 is perfect. Constant blocks have none.

    Raises:
        ValueError: for mismatched numbers of rows or NaN.
    """
    arrays = [as_codes(codes, f"codes of model {i}") for i, (codes, _) in enumerate(codes_by_seed)]
    n = check_lengths(**{f"model {i}": codes for i, codes in enumerate(arrays)}) if arrays else 0
    about = {"n": n, "page": PAGE}
    if len(arrays) < 2:
        return {"agreement": Score.null(f"{len(arrays)} model: agreement needs two seeds", **about)}
    models, constant = [], []
    for codes, (_, blocks) in zip(arrays, codes_by_seed, strict=True):
        index = as_blocks(blocks, codes.shape[1])
        live = codes.std(axis=0) > 1e-12 * np.abs(codes).max(axis=0)
        models.append({b: whiten(codes[:, c]) for b, c in index.items() if live[c].any()})
        constant += [b for b, c in index.items() if not live[c].any()]
    widest = max((z.shape[1] for model in models for z in model.values()), default=0)
    if not all(models) or n <= 2 * widest:
        reason = "a model has only constant blocks"
        if all(models):
            reason = f"{n} samples are too few for blocks of {widest} dimensions"
        return {"agreement": Score.null(reason, **about)}

    matched, same = _matching(models)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = _matching([models[0], *[{b: z[order] for b, z in m.items()} for m in models[1:2]]])[
        0
    ]
    chance = float(np.mean([v for values in shuffled.values() for v in values]))

    def over_blocks(rows: np.ndarray) -> float:
        drawn = [{b: z[rows] for b, z in model.items()} for model in models]
        return float(np.mean([np.mean(v) for v in _matching(drawn)[0].values()]))

    interval = bootstrap(over_blocks, n, groups=groups, resamples=resamples, seed=seed)
    mean = np.mean([np.mean(values) for values in matched.values()])
    scores = {
        f"agreement/{name}": Score(np.mean(values), floor=chance, ceiling=1.0, **about)
        for name, values in matched.items()
    }
    for name in set(constant) - set(scores):
        if name not in matched:
            reason = f"block {name!r} is constant"
            scores[f"agreement/{name}"] = Score.null(reason, ceiling=1.0, **about)
    scores["agreement"] = Score(mean, floor=chance, ceiling=1.0, interval=interval, **about)
    blocks = max(len(model) for model in models)
    scores["agreement/same_name"] = Score(np.mean(same), floor=1 / blocks, ceiling=1.0, **about)
    return scores


def block_cka(one: np.ndarray, two: np.ndarray) -> float:
    """Linear CKA of two blocks (N, p) and (N, q): |X^T Y|^2 / (|X^T X| |Y^T Y|), columns centred."""
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    scale = np.linalg.norm(one.T @ one) * np.linalg.norm(two.T @ two)
    return float(np.linalg.norm(one.T @ two) ** 2 / scale)


def _matching(models: Sequence[Model]) -> tuple[dict[str, list[float]], list[bool]]:
    """Similarities of matched blocks by name, and whether names agree."""
    matched, same = defaultdict(list), []
    for one, two in combinations(models, 2):
        cka = np.array([[block_cka(x, y) for y in two.values()] for x in one.values()])
        names = list(one), list(two)
        for i, j in zip(*linear_sum_assignment(cka, maximize=True), strict=True):
            matched[names[0][i]].append(cka[i, j])
            matched[names[1][j]].append(cka[i, j])
            same.append(names[0][i] == names[1][j])
    return dict(matched), same


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
    arrays = [as_codes(codes, f"codes of model {i}") for i, codes in enumerate(codes_by_seed)]
    n = check_lengths(**{f"model {i}": codes for i, codes in enumerate(arrays)}) if arrays else 0
    about = {"n": n, "page": PAGE, "legacy": True}
    if len(arrays) < 2:
        return {"udr": Score.null(f"{len(arrays)} model: UDR needs two seeds", **about)}
    active = []
    for i, codes in enumerate(arrays):
        live = codes.std(axis=0) > 1e-12 * np.abs(codes).max(axis=0)
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
    chance = _relative_strength(_relation(active[0], active[1][order], method))
    ceiling = 1.0 if method == "spearman" else 0.9
    each = np.nanmedian(values, axis=1)
    scores = {
        f"udr/{i}": Score(v, floor=chance, ceiling=ceiling, **about) for i, v in enumerate(each)
    }
    return scores | {"udr": Score(each.mean(), floor=chance, ceiling=ceiling, **about)}


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
