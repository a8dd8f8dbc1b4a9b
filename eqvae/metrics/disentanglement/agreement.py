"""Do models that differ in their seed alone find the same blocks? No labels are needed.

For two models' codes of the same images, the similarity of block b of one and block c of the other is the
centred kernel alignment of the whitened blocks, the mean squared canonical correlation:

    CKA(b, c) = |U_b^T U_c|_F^2 / sqrt(dim b dim c),      U = whitened codes / sqrt(N - 1)

It is 1 for blocks that are invertible linear images of each other and does not see the basis inside a
block. Blocks are matched one to one (the assignment with the largest sum), and a block's score is the mean
over pairs of models. Agreement is not truth: models can agree on an entangled code.

Reference: Kornblith et al., Similarity of neural network representations revisited (ICML 2019): CKA.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from eqvae.metrics.disentanglement.whitening import moving_columns, whiten
from eqvae.metrics.inputs import Blocks, Codes, as_blocks, as_codes, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "agreement-of-seeds"
Model = dict[str, np.ndarray]  # block name -> whitened codes (N, d)


def seed_agreement(
    codes_by_seed: Sequence[tuple[Codes, Blocks]], **draws: Unpack[Draws]
) -> dict[str, Score]:
    """Agreement of models block by block.

    Args:
        codes_by_seed: (codes (N, D), blocks) of each model, rows showing the same images.
        **draws: see `Draws`; 20 resamples.

    Returns:
        "agreement/<block>" for each block name, mean over models and partners; "agreement", the mean over
        blocks; and "agreement/same_name", the fraction of blocks matched to one of their own name. Higher
        is better, 1 is perfect. Constant blocks have none.

    Raises:
        ValueError: for mismatched numbers of rows or NaN.
    """
    resampling = Resampling.of(draws, resamples=20)
    arrays, n = same_rows([codes for codes, _ in codes_by_seed])
    about = {"n": n, "page": PAGE}
    if len(arrays) < 2:
        return {"agreement": Score.null(f"{len(arrays)} model: agreement needs two seeds", **about)}
    models, constant = _models(arrays, [blocks for _, blocks in codes_by_seed])
    if reason := _missing(models, n):
        return {"agreement": Score.null(reason, **about)}
    matched, same = _matching(models)
    order = resampling.generator().permutation(n)
    chance = _mean(_matching([models[0], _rows(models[1], order)])[0])
    about |= {"ceiling": 1.0}
    scores = {
        f"agreement/{name}": Score(np.mean(values), floor=chance, **about)
        for name, values in matched.items()
    }
    for name in set(constant) - set(matched):
        scores[f"agreement/{name}"] = Score.null(f"block {name!r} is constant", **about)
    interval = resampling.interval(
        lambda rows: _mean(_matching([_rows(model, rows) for model in models])[0]), n
    )
    scores["agreement"] = Score(_mean(matched), floor=chance, interval=interval, **about)
    blocks = max(len(model) for model in models)
    scores["agreement/same_name"] = Score(np.mean(same), floor=1 / blocks, **about)
    return scores


def same_rows(codes_by_seed: Sequence[ArrayLike]) -> tuple[list[np.ndarray], int]:
    """Codes of several models as arrays, and how many rows all of them have.

    Raises:
        ValueError: if they differ in length, or hold NaN.
    """
    arrays = [as_codes(codes, f"codes of model {i}") for i, codes in enumerate(codes_by_seed)]
    n = check_lengths(**{f"model {i}": codes for i, codes in enumerate(arrays)}) if arrays else 0
    return arrays, n


def _models(
    arrays: Sequence[np.ndarray], blocks_by_seed: Sequence[Blocks]
) -> tuple[list[Model], list[str]]:
    """Whitened blocks of each model, and the names of those that are constant."""
    models, constant = [], []
    for codes, blocks in zip(arrays, blocks_by_seed, strict=True):
        index, live = as_blocks(blocks, codes.shape[1]), moving_columns(codes)
        models.append({b: whiten(codes[:, c]) for b, c in index.items() if live[c].any()})
        constant += [b for b, c in index.items() if not live[c].any()]
    return models, constant


def _missing(models: Sequence[Model], n: int) -> str:
    """Why there is no score; empty if there is one."""
    if not all(models):
        return "a model has only constant blocks"
    widest = max(z.shape[1] for model in models for z in model.values())
    return f"{n} samples are too few for blocks of {widest} dimensions" if n <= 2 * widest else ""


def _rows(model: Model, rows: np.ndarray) -> Model:
    return {block: z[rows] for block, z in model.items()}


def _mean(matched: dict[str, list[float]]) -> float:
    return float(np.mean([np.mean(values) for values in matched.values()]))


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
