"""D_LSBD for SE(2): how far the codes of a turned and shifted object are from a linear action.

A block of a code is linearly disentangled for rotations if there is an orthogonal representation rho with

    z(g x) - mu = rho(theta) (z(x) - mu),      rho(theta) = exp(omega theta J),      J^T = -J, J^2 = -1,

that is, if the orbit of every object is a circle run through omega times as fast as the object turns, with
one complex structure J for all objects. D_LSBD is the fraction of variance that the best such action misses:

    D_b(omega) = min_{J, mu_o, v_o} sum_i |z_i - mu_o(i) - exp(omega theta_i J) v_o(i)|^2
                 / sum_i |z_i - mean_o(i)|^2  =  residual(omega) + anisotropy(omega).

`residual` is the variance at other frequencies, `anisotropy` what an ellipse lacks of a circle. Neither is
whitened away, omega = 0 (nothing moves) is not an answer, and the angles need not be a regular grid.
Translations are R^2, not a circle, so the position block has a term of its own, see `translations.py`.

Unchanged by shifts, orthogonal maps and a common scale inside a block; other basis changes make ellipses of
circles and are meant to count.

References:
    Perez Rey, Tonnaer, Menkovski, Holenderski, Portegies, A metric for linear symmetry-based disentanglement
        (2020), https://arxiv.org/abs/2011.13306.
    Tonnaer et al., Quantifying and learning linear symmetry-based disentanglement (ICML 2022).
    Marchetti et al., Equivariant representation learning in the presence of stabilizers (2023): symmetric
        objects. There the k centres are free; here they are one orbit, as the action demands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.disentanglement.orbits import Orbits, at_frequency, circle_errors
from eqvae.metrics.disentanglement.translations import PAGE, translation_scores
from eqvae.metrics.inputs import (
    Blocks,
    Codes,
    as_array,
    as_blocks,
    as_classes,
    as_codes,
    check_lengths,
)
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score


def d_lsbd(
    codes: Codes,
    angles: ArrayLike,
    *,
    blocks: Blocks = None,
    frequencies: Mapping[str, int] | None = None,
    positions: ArrayLike | None = None,
    objects: ArrayLike | None = None,
    stabiliser: int | ArrayLike = 1,
    max_frequency: int = 10,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Distance from linear symmetry-based disentanglement for SE(2); lower is better, a perfect code has 0.

    Args:
        codes: (N, D).
        angles: true orientation of each sample, radians, (N,), on a grid or not.
        blocks: columns that should turn, and "position", two columns (x, y); None takes all columns as one
            block named "codes".
        frequencies: how many times as fast as the object each block must turn; 1 where not named.
        positions: true positions, (N, 2), for the block "position".
        objects: object of each sample, (N,); None means that all show one object. An object needs at
            least four different angles (samples, for its position), and 2 frequency + 1; others are left out.
        stabiliser: order k of the objects' rotation symmetry, one number or (N,). For k > 1 the code may sit
            in any of the k indistinguishable poses, and a block must hold (cos, sin) pairs.
        max_frequency: largest frequency searched.
        **draws: see `Draws`; the sources of the rows are the objects, if there are several, where not given.

    Returns:
        For each turning block "<block>/d_lsbd" at the required frequency, its parts "<block>/residual" and
        "<block>/anisotropy" (for k = 1), "<block>/d_lsbd_any" at the best non-zero frequency and
        "<block>/omega", that frequency; "position/d_lsbd" and "position/scale" (|alpha|); and "d_lsbd",
        the mean of rotations (mean over blocks) and translations. A block that never moves has 1.

    Raises:
        ValueError: for mismatched lengths, unknown names, or a frequency or symmetry order below 1.
    """
    resampling = Resampling.of(draws)
    codes, angles = as_codes(codes), as_array(angles, "angles", 1).astype(float)
    positions = None if positions is None else _as_positions(positions)
    given = {"objects": objects, "groups": resampling.groups}
    check_lengths(codes=codes, angles=angles, positions=positions, **given)
    named = {"codes": range(codes.shape[1])} if blocks is None else blocks
    index = as_blocks(named, codes.shape[1])
    order = _symmetry_order(stabiliser, len(codes))
    if resampling.groups is None and objects is not None and len(np.unique(objects)) > 1:
        resampling = replace(resampling, groups=objects)
    objects = np.zeros(len(codes), int) if objects is None else as_classes(objects, "objects")
    position = index.pop("position", None)
    required = _required(frequencies or {}, list(index))
    scores: dict[str, Score] = {}
    for name, columns in index.items():
        orbit = Orbits.of(codes[:, columns], angles, objects, order, required[name])
        scores |= _rotation(name, orbit, required[name], max_frequency, resampling)
    if position is not None:
        scores |= translation_scores(
            codes[:, position], angles, positions, objects, order, resampling
        )
    return scores | _overall(scores, list(index), position is not None)


def _as_positions(positions: ArrayLike) -> np.ndarray:
    array = as_array(positions, "positions", 2).astype(float)
    if array.shape[1] != 2:
        raise ValueError(f"positions must have two columns, x and y; got {array.shape[1]}.")
    return array


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


def _rotation(
    name: str, orbit: Orbits, required: int, max_frequency: int, resampling: Resampling
) -> dict[str, Score]:
    about = {"n": len(orbit.z), "better": "lower", "ceiling": 0.0, "page": PAGE}
    keys = [f"{name}/{key}" for key in ("d_lsbd", "residual", "anisotropy", "d_lsbd_any", "omega")]
    if len(orbit.z) == 0:
        needed = max(4, 2 * required + 1)
        reason = f"no object was seen at {needed} different angles or more (frequency {required})"
        return Score.nulls(keys, reason, **about)
    if orbit.constant:
        return _never_moves(name, keys, orbit, required, about)
    generator, seed = resampling.generator(), resampling.seed
    searched = range(1, max(min(max_frequency, (orbit.distinct - 1) // 2), required) + 1)
    errors = {omega: circle_errors(orbit, omega, seed) for omega in searched}
    found = min(searched, key=lambda omega: errors[omega].sum())
    total = (orbit.z**2).sum(axis=1)
    repeats = 3 if (orbit.order == 1).all() else 1
    chance = [
        {omega: circle_errors(shuffle, omega, seed).sum() / total.sum() for omega in searched}
        for shuffle in (orbit.shuffled(generator) for _ in range(repeats))
    ]
    resampling = resampling.of_rows(orbit.rows)

    def score(omega: int, floor: float) -> Score:
        return Score.of_ratio(errors[omega], total, resampling, floor=floor, **about)

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
