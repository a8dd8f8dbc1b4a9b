"""Mutual information between blocks of a code and factors, by nearest neighbours.

Blocks have more than one dimension, so that the histograms of the literature do not serve:

    I(z_b; v) = < psi(k_i) + log N - psi(n_z,i) - psi(n_v,i) >,

with n_z, n_v the numbers of points (the point itself included) closer than the k-th neighbour in the
joint space, whose distance is the larger of |z - z'| and |v - v'|. A class is at distance 0 from itself and
infinitely far from others. Every block, and every vector factor, is first brought to identity covariance,
so nothing depends on the basis, scale or shear inside a block. Equal distances (a grid of positions, a
noiseless code) would be put in order by rounding alone; instead each distance gets a tiny random addend
that belongs to the pair of samples and not to the coordinates, so that the order survives a change of basis.

The entropy that normalises is I(v; v) of the same estimator: log of the number of values if there are few,
about log(N / k) for a continuous factor: the finest information that N samples can show.

References: Kraskov, Stoegbauer, Grassberger, Estimating mutual information (2004), eq. (8). Ross, Mutual
information between discrete and continuous data sets (2014).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import digamma

from eqvae.metrics.disentanglement.whitening import whiten
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score

# In standard deviations: far above what rounding moves a distance by, far below what tells values apart.
JITTER = 1e-7


@dataclass(frozen=True)
class BlockInformation:
    """Information between blocks and factors, sample by sample.

    Attributes:
        blocks: names of the B blocks that are not constant.
        factors: names of the F factors that are not constant.
        terms: the addends whose mean over samples is I(z_b; v_f), nats, (N, B, F).
        own: the same of I(v_f; v_f), (N, F).
        shuffled: I(z_b; v_f) / I(v_f; v_f) with the samples of the factors shuffled, (P, B, F).
        rows: which samples of the data these are, (N,).
        dropped: names of constant blocks and factors.
    """

    blocks: tuple[str, ...]
    factors: tuple[str, ...]
    terms: np.ndarray
    own: np.ndarray
    shuffled: np.ndarray
    rows: np.ndarray
    dropped: tuple[str, ...]

    def normalised(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """I(z_b; v_f) / I(v_f; v_f) within 0..1, (B, F), of all samples or of the given rows."""
        return _ratio(self.terms[rows].mean(axis=0), self.own[rows].mean(axis=0))

    @cached_property
    def active(self) -> np.ndarray:
        """Blocks that know some factor better than they know shuffled ones, (B,) of bool."""
        if self.shuffled.size == 0:
            return np.zeros(len(self.blocks), dtype=bool)
        threshold = self.shuffled.mean(axis=(0, 2)) + 4 * self.shuffled.std(axis=(0, 2)) + 0.005
        return self.normalised().max(axis=1) > threshold

    def scores(
        self,
        names: Sequence[str],
        of: Callable[[np.ndarray], Sequence[float]],
        resampling: Resampling,
        floors: Sequence[float],
        **known: Any,
    ) -> dict[str, Score]:
        """Scores from statistics of `normalised`; resampling rows leaves neighbourhoods as they are.

        Args:
            names: of the scores.
            of: information (B, F) -> a number for each name, 1 at best.
            resampling: of the rows of the data.
            floors: of each score.
            **known: further fields of all.
        """
        return Score.of_statistics(
            names,
            lambda rows: of(self.normalised(rows)),
            len(self.rows),
            resampling.of_rows(self.rows),
            floors,
            ceiling=1.0,
            **known,
        )


def block_information(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    neighbours: int = 5,
    samples: int = 2000,
    permutations: int = 3,
    seed: int = 0,
) -> BlockInformation:
    """Information between blocks of the codes and factors, by nearest neighbours.

    Args:
        codes: (N, D).
        factors: classes (N,), numbers (N,) or vectors (N, k).
        blocks: columns by block; None makes every column a block.
        neighbours: k; larger has less variance and more bias.
        samples: at most so many rows are used, drawn at random; the cost is quadratic.
        permutations: how many shufflings of the factors give the chance level.
        seed: of the draw and the shuffling.

    Raises:
        ValueError: if there are no more samples than neighbours + 1.
    """
    codes = as_codes(codes)
    known = as_factors(factors, len(codes))
    index = as_blocks(blocks, codes.shape[1])
    if len(codes) < neighbours + 2:
        raise ValueError(
            f"codes must have more than neighbours + 1 = {neighbours + 1} rows; got {len(codes)}. "
            "Lower neighbours or encode more samples."
        )
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(codes))[:samples])
    points = {name: whiten(codes[rows][:, columns]) for name, columns in index.items()}
    values = {
        name: v[rows] if v.dtype.kind == "i" else whiten(v[rows]) for name, v in known.items()
    }
    varied = {k: v for k, v in values.items() if v.size and (v != v[:1]).any()}
    live = {k: z for k, z in points.items() if z.size}
    dropped = [k for k in points if k not in live] + [k for k in values if k not in varied]
    orders = [generator.permutation(len(rows)) for _ in range(permutations)]
    orders = np.array(orders, dtype=int).reshape(permutations, len(rows))
    terms, own, shuffled = _all_terms(
        list(live.values()), list(varied.values()), orders, neighbours, seed
    )
    return BlockInformation(tuple(live), tuple(varied), terms, own, shuffled, rows, tuple(dropped))


def _all_terms(
    points: list[np.ndarray],
    values: list[np.ndarray],
    orders: np.ndarray,
    neighbours: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`terms`, `own` and `shuffled` of a `BlockInformation`, the last by orders of the rows (P, N)."""
    f, (p, n) = len(values), orders.shape
    targets = values + [v[order] for order in orders for v in values]
    terms, own = np.empty((n, len(points), f)), np.empty((n, f))
    shuffled = np.empty((p, len(points), f))
    for j, v in enumerate(values):
        own[:, j] = _terms(v.reshape(n, -1), [v], neighbours, seed)[:, 0]
    for b, z in enumerate(points):
        everything = _terms(z, targets, neighbours, seed)
        terms[:, b] = everything[:, :f]
        shuffled[:, b] = everything[:, f:].mean(axis=0).reshape(p, f)
    return terms, own, _ratio(shuffled, own.mean(axis=0)) if f else shuffled


def _terms(
    z: np.ndarray, targets: Sequence[np.ndarray], k: int, seed: int, chunk: int = 500
) -> np.ndarray:
    """Addends of I(z; v) for every target, (N, len(targets)); classes are 1-D, vectors 2-D."""
    n = len(z)
    result = np.empty((n, len(targets)))
    for first in range(0, n, chunk):
        rows = np.arange(first, min(first + chunk, n))
        generator = np.random.default_rng([seed, first])
        jitter = JITTER * generator.random((2, len(rows), n))
        jitter[:, np.arange(len(rows)), rows] = 0  # a point stays at distance 0 from itself
        dz = _distances(z, rows) + jitter[0]
        for j, v in enumerate(targets):
            if v.ndim == 1:
                result[rows, j] = _class_terms(dz, v, rows, k)
            else:
                result[rows, j] = _vector_terms(dz, _distances(v, rows) + jitter[1], k)
    return result


def _class_terms(dz: np.ndarray, v: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    n, terms = len(v), np.zeros(len(rows))
    for c in np.unique(v[rows]):
        mine, members = np.flatnonzero(v[rows] == c), np.flatnonzero(v == c)
        count = min(k, len(members) - 1)
        if count == 0:
            continue  # a class of one sample shows nothing
        near = dz[mine]
        radius = np.partition(near[:, members], count, axis=1)[
            :, count
        ]  # number 0 is the point itself
        inside = _closer(near, radius)
        terms[mine] = digamma(count) + digamma(n) - digamma(inside) - digamma(len(members))
    return terms


def _vector_terms(dz: np.ndarray, dv: np.ndarray, k: int) -> np.ndarray:
    radius = np.partition(np.maximum(dz, dv), k, axis=1)[:, k]
    inside = digamma(_closer(dz, radius)) + digamma(_closer(dv, radius))
    return digamma(k) + digamma(dz.shape[1]) - inside


def _closer(distance: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return np.count_nonzero(distance < radius[:, None], axis=1)


def _distances(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """From the given rows to all; of classes only the place in their class counts."""
    if points.ndim == 1:
        return np.zeros((len(rows), len(points)))
    return cdist(points[rows], points)


def _ratio(information: np.ndarray, own: np.ndarray) -> np.ndarray:
    return np.clip(information / np.maximum(own, 1e-12), 0, 1)
