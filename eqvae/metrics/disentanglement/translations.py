"""How far the position block of a code is from following the true positions.

    D_t = min_{c, alpha, tau} sum_i |t^_i - c - alpha t_i - exp(i theta_i) tau_o(i)|^2 / sum_i |t^_i - mean|^2

in complex notation: a turn and a scale alpha of the plane, and each object's own origin tau.
"""

import numpy as np

from eqvae.metrics.disentanglement.orbits import CONSTANT, object_means
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score

PAGE = "d_lsbd"


def translation_scores(
    codes: np.ndarray,
    angles: np.ndarray,
    positions: np.ndarray | None,
    objects: np.ndarray,
    order: np.ndarray,
    resampling: Resampling,
) -> dict[str, Score]:
    """`position/d_lsbd`, lower is better, and `position/scale`, |alpha|.

    Args:
        codes: of the position block, (N, 2).
        angles: radians, (N,).
        positions: true ones, (N, 2), or None.
        objects: 0, 1, ..., (N,).
        order: k of the object's symmetry C_k, (N,).
        resampling: of the rows.
    """
    about = {"n": len(codes), "better": "lower", "ceiling": 0.0, "page": PAGE}
    keys = ("position/d_lsbd", "position/scale")
    if codes.shape[1] != 2:
        raise ValueError(
            f"the block 'position' must have 2 columns, x and y; got {codes.shape[1]}."
        )
    if positions is None:
        return Score.nulls(keys, "no true positions were given", **about)
    seen = np.flatnonzero(np.bincount(objects)[objects] >= 4)
    if len(seen) < 8:
        reason = "no object has 4 samples, so that its free origin would fit them"
        return Score.nulls(keys, reason, **about)
    codes, positions, angles, order = codes[seen], positions[seen], angles[seen], order[seen]
    objects = np.unique(objects[seen], return_inverse=True)[1]
    resampling = resampling.of_rows(seen)
    about["n"] = len(seen)
    total = ((codes - codes.mean(axis=0)) ** 2).sum(axis=1)
    spread = ((positions - positions.mean(axis=0)) ** 2).sum()
    if spread <= CONSTANT * (positions**2).sum():
        return Score.nulls(keys, "the true positions are all the same", **about)
    if total.sum() <= CONSTANT * max((codes**2).sum(), 1e-300):
        reason = "block 'position' is constant: it should move with the object"
        lost = Score(1.0, floor=1.0, reason=reason, **about)
        return {keys[0]: lost, keys[1]: Score.null(reason, **about)}
    # a symmetric object shows its centre
    frame = np.exp(1j * angles)[:, None] * (order == 1)[:, None]
    error, scale = _similarity(codes, positions, frame, objects)
    drawn = resampling.generator().permutation(len(codes))
    chance = _similarity(codes, positions[drawn], frame, objects)[0].sum() / total.sum()
    return {
        keys[0]: Score.of_ratio(error, total, resampling, floor=chance, **about),
        keys[1]: Score(scale, n=len(codes), better="neither", page=PAGE),
    }


def _similarity(codes, positions, frame, objects) -> tuple[np.ndarray, float]:
    """|t^_i - c - alpha t_i - e^(i theta_i) tau_o|^2 for each row, and |alpha|."""
    plane = np.array([1, 1j])
    columns = np.stack([codes @ plane, positions @ plane, np.ones(len(codes))], axis=1)
    power = np.maximum(object_means(np.abs(frame) ** 2, objects), 1e-300)
    columns = columns - frame * (object_means(frame.conj() * columns, objects) / power)[objects]
    fitted, *_ = np.linalg.lstsq(columns[:, 1:], columns[:, 0], rcond=None)
    return np.abs(columns[:, 0] - columns[:, 1:] @ fitted) ** 2, float(np.abs(fitted[0]))
