"""D_LSBD for SE(2): how far the codes of a turned and shifted object are from a linear action.

A block of a code is linearly disentangled for rotations if there is an orthogonal representation rho with

    z(g x) - mu = rho(theta) (z(x) - mu),      rho(theta) = exp(omega theta J),      J^T = -J, J^2 = -1,

that is, if the orbit of every object is a circle run through omega times as fast as the object turns, with
one complex structure J for all objects. D_LSBD is the fraction of variance that the best such action misses:

    D_b(omega) = min_{J, mu_o, v_o} sum_i |z_i - mu_o(i) - exp(omega theta_i J) v_o(i)|^2
                 / sum_i |z_i - mean_o(i)|^2  =  residual(omega) + anisotropy(omega).

`residual` is the variance at other frequencies, `anisotropy` what an ellipse lacks of a circle. Neither is
whitened away, omega = 0 (nothing moves) is not an answer, and the angles need not be a regular grid.
Translations are R^2, not a circle, so the position block has its own term, the error up to gauge

    D_t = min_{c, alpha, tau} sum_i |t^_i - c - alpha t_i - exp(i theta_i) tau_o(i)|^2 / sum_i |t^_i - mean|^2

in complex notation: a turn and a scale alpha of the plane, and each object's own origin tau.

References:
    Perez Rey, Tonnaer, Menkovski, Holenderski, Portegies, A metric for linear symmetry-based disentanglement
        (2020), https://arxiv.org/abs/2011.13306.
    Tonnaer et al., Quantifying and learning linear symmetry-based disentanglement (ICML 2022).
    Marchetti et al., Equivariant representation learning in the presence of stabilizers (2023): symmetric
        objects. There the k centres are free; here they are one orbit, as the law demands.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.disentanglement.orbits import (
    CONSTANT,
    Orbits,
    at_frequency,
    circle_errors,
    object_means,
)
from eqvae.metrics.inputs import Blocks, as_array, as_blocks, as_classes, as_codes, check_lengths
from eqvae.metrics.score import Score, mean_interval

PAGE = "d_lsbd"


def d_lsbd(
    codes: ArrayLike,
    angles: ArrayLike,
    *,
    blocks: Blocks | None = None,
    frequencies: Mapping[str, int] | None = None,
    positions: ArrayLike | None = None,
    objects: ArrayLike | None = None,
    stabiliser: int | ArrayLike = 1,
    max_frequency: int = 10,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Distance from linear symmetry-based disentanglement for SE(2); lower is better, a perfect code has 0.

    Unchanged by shifts, orthogonal maps and a common scale inside a block; other basis changes make
    ellipses of circles and are meant to count.

    Args:
        codes: (N, D).
        angles: true orientation of each sample, radians, (N,), on a grid or not.
        blocks: columns that should turn, and "position", two columns (x, y); None takes all columns as one
            block named "codes".
        frequencies: how many times as fast as the object each block must turn, at least 1; 1 where not
            named.
        positions: true positions, (N, 2), for the block "position".
        objects: object of each sample, (N,); None means that all show one object. An object needs at
            least four different angles (samples, for its position), and 2 frequency + 1; others are left out.
        stabiliser: order k of the objects' rotation symmetry, one number or (N,). For k > 1 the code may
            sit in any of the k indistinguishable poses, and the columns of a block must be
            (cos, sin) pairs.
        max_frequency: largest frequency searched.
        groups: source of each sample for the intervals, (N,); the objects if None and there are several.
        seed: of floors, intervals and restarts.

    Returns:
        For each turning block "<block>/d_lsbd" at the required frequency, its parts "<block>/residual" and
        "<block>/anisotropy" (for k = 1), "<block>/d_lsbd_any" at the best non-zero frequency and
        "<block>/omega", that frequency; "position/d_lsbd" and "position/scale" (|alpha|); and "d_lsbd",
        the mean of rotations (mean over blocks) and translations. A block that never moves has 1, with the
        reason said.

    Raises:
        ValueError: for mismatched lengths, unknown names, or a frequency or symmetry order below 1.
    """
    codes, angles = as_codes(codes), as_array(angles, "angles", 1).astype(float)
    positions = None if positions is None else as_array(positions, "positions", 2).astype(float)
    check_lengths(codes=codes, angles=angles, positions=positions, objects=objects, groups=groups)
    if positions is not None and positions.shape[1] != 2:
        raise ValueError(f"positions must have two columns, x and y; got {positions.shape[1]}.")
    named = {"codes": range(codes.shape[1])} if blocks is None else blocks
    index = as_blocks(named, codes.shape[1])
    order = _symmetry_order(stabiliser, len(codes))
    if groups is None and objects is not None:
        groups = objects if len(np.unique(objects)) > 1 else None
    objects = np.zeros(len(codes), int) if objects is None else as_classes(objects, "objects")
    position = index.pop("position", None)
    required = _required(frequencies or {}, list(index))

    scores: dict[str, Score] = {}
    for name, columns in index.items():
        orbit = Orbits.of(codes[:, columns], angles, objects, order, required[name])
        scores |= _rotation(name, orbit, required[name], max_frequency, groups, seed)
    if position is not None:
        scores |= _translation(codes[:, position], angles, positions, objects, order, groups, seed)
    return scores | _overall(scores, list(index), position is not None)


def _symmetry_order(stabiliser: int | ArrayLike, n: int) -> np.ndarray:
    order = np.asarray(stabiliser)
    order = np.full(n, order) if order.ndim == 0 else order
    check_lengths(codes=n, stabiliser=order)
    if order.dtype.kind not in "iu" or (order < 1).any():
        raise ValueError(
            "stabiliser must be the order of the rotation symmetry, a whole number of at least 1 for each "
            f"sample; got {np.unique(order)[:5].tolist()}. Leave out samples of unknown symmetry."
        )
    return order


def _required(frequencies: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    unknown = sorted(set(frequencies) - set(names))
    if unknown:
        raise ValueError(f"frequencies must name turning blocks, {names}; got {unknown}.")
    required = {name: frequencies.get(name, 1) for name in names}
    for name, frequency in required.items():
        if int(frequency) != frequency or frequency < 1:
            raise ValueError(
                f"frequencies must be whole numbers of at least 1; got {frequency} for {name!r}. A block "
                "that must not turn is measured by content invariance."
            )
    return required


def _rotation(name, orbit: Orbits, required, max_frequency, groups, seed) -> dict[str, Score]:
    about = {"n": len(orbit.z), "better": "lower", "ceiling": 0.0, "page": PAGE}
    keys = [f"{name}/{key}" for key in ("d_lsbd", "residual", "anisotropy", "d_lsbd_any", "omega")]
    if len(orbit.z) == 0:
        needed = max(4, 2 * required + 1)
        reason = f"no object was seen at {needed} different angles or more (frequency {required})"
        return {key: Score.null(reason, **about) for key in keys}
    if orbit.constant:
        return _never_moves(name, keys, orbit, required, about)
    generator = np.random.default_rng(seed)
    searched = range(1, max(min(max_frequency, (orbit.distinct - 1) // 2), required) + 1)
    errors = {omega: circle_errors(orbit, omega, seed) for omega in searched}
    found = min(searched, key=lambda omega: errors[omega].sum())
    total = (orbit.z**2).sum(axis=1)
    chance = [
        {omega: circle_errors(shuffle, omega, seed).sum() / total.sum() for omega in searched}
        for shuffle in (
            orbit.shuffled(generator) for _ in range(3 if (orbit.order == 1).all() else 1)
        )
    ]
    clusters = None if groups is None else np.asarray(groups)[orbit.rows]

    def score(omega, floor) -> Score:
        interval = mean_interval(errors[omega], total, groups=clusters, seed=seed)
        value = errors[omega].sum() / total.sum()
        return Score(value, floor=floor, interval=interval, **about)

    scores = {
        keys[0]: score(required, np.mean([c[required] for c in chance])),
        keys[3]: score(found, np.mean([min(c.values()) for c in chance])),
        keys[4]: Score(found, n=len(orbit.z), better="neither", page=PAGE),
    }
    if (orbit.order == 1).all():
        other = 1 - (at_frequency(orbit, required) ** 2).sum() / total.sum()
        residual = float(np.clip(other, 0, scores[keys[0]].value))
        scores[keys[1]] = Score(residual, **about)
        scores[keys[2]] = Score(scores[keys[0]].value - residual, **about)
    return scores


def _never_moves(name, keys, orbit: Orbits, required: int, about) -> dict[str, Score]:
    if (required % orbit.order != 0).all():
        reason = f"block {name!r} is constant, as it must be for objects whose symmetry order does not divide"
        return {key: Score.null(f"{reason} {required}", **about) for key in keys}
    reason = f"block {name!r} is constant: it should turn {required} times as fast as the object"
    lost = Score(1.0, floor=1.0, reason=reason, **about)
    return {keys[0]: lost, keys[3]: lost} | {
        key: Score.null(reason, **about) for key in (keys[1], keys[2], keys[4])
    }


def _translation(codes, angles, positions, objects, order, groups, seed) -> dict[str, Score]:
    about = {"n": len(codes), "better": "lower", "ceiling": 0.0, "page": PAGE}
    keys = ("position/d_lsbd", "position/scale")
    if codes.shape[1] != 2:
        raise ValueError(
            f"the block 'position' must have 2 columns, x and y; got {codes.shape[1]}."
        )
    if positions is None:
        return {key: Score.null("no true positions were given", **about) for key in keys}
    seen = np.flatnonzero(np.bincount(objects)[objects] >= 4)
    if len(seen) < 8:
        reason = "no object has 4 samples, so that its free origin would fit them"
        return {key: Score.null(reason, **about) for key in keys}
    codes, positions, angles, order = codes[seen], positions[seen], angles[seen], order[seen]
    objects = np.unique(objects[seen], return_inverse=True)[1]
    groups = None if groups is None else np.asarray(groups)[seen]
    about["n"] = len(seen)
    total = ((codes - codes.mean(axis=0)) ** 2).sum(axis=1)
    spread = ((positions - positions.mean(axis=0)) ** 2).sum()
    if spread <= CONSTANT * (positions**2).sum():
        return {key: Score.null("the true positions are all the same", **about) for key in keys}
    if total.sum() <= CONSTANT * max((codes**2).sum(), 1e-300):
        reason = "block 'position' is constant: it should move with the object"
        lost = Score(1.0, floor=1.0, reason=reason, **about)
        return {keys[0]: lost, keys[1]: Score.null(reason, **about)}
    frame = (
        np.exp(1j * angles)[:, None] * (order == 1)[:, None]
    )  # a symmetric object shows its centre
    error, scale = _similarity(codes, positions, frame, objects)
    drawn = np.random.default_rng(seed).permutation(len(codes))
    chance = _similarity(codes, positions[drawn], frame, objects)[0].sum() / total.sum()
    interval = mean_interval(error, total, groups=groups, seed=seed)
    value = error.sum() / total.sum()
    return {
        keys[0]: Score(value, floor=chance, interval=interval, **about),
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


def _overall(scores: dict[str, Score], turning: list[str], shifting: bool) -> dict[str, Score]:
    parts = [[scores[f"{name}/d_lsbd"] for name in turning]] if turning else []
    parts += [[scores["position/d_lsbd"]]] if shifting else []
    about = {"better": "lower", "ceiling": 0.0, "page": PAGE}
    missing = [score.reason for part in parts for score in part if score.value is None]
    if missing:
        return {"d_lsbd": Score.null(f"a part is missing: {missing[0]}", **about)}
    value = np.mean([np.mean([score.value for score in part]) for part in parts])
    floor = np.mean([np.mean([score.floor for score in part]) for part in parts])
    n = min(score.n for part in parts for score in part)
    return {"d_lsbd": Score(value, n=n, floor=floor, **about)}
