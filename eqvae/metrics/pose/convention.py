"""Mirrored conventions: poses written with the wrong direction of rotation or an axis that is flipped.

A gauge h on the right of g is free; a mirror on the left is a mistake, theta_hat = phi - theta or
t_hat = F t. It is looked for and reported as a failure with the agreement of both readings, never fitted.
"""

from collections.abc import Iterator

import numpy as np
import torch

from eqvae.metrics.intervals import Resampling
from eqvae.metrics.pose.poses import PosePairs, product, relative_motion
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import angle_of, motion, shift_of

PAGE = "pose-error"
_LEAST_GAIN = 0.05  # of a squared resultant or correlation


def angle_convention(pairs: PosePairs, resampling: Resampling) -> dict[str, Score]:
    """Resultants of the angles as they are and under a mirror on the left."""
    n = len(pairs.pose)
    sizes = np.unique(pairs.labels, return_counts=True)[1]
    # E |mean of m unit vectors| = sqrt(pi / 4 m)
    floor = np.minimum(np.sqrt(np.pi * sizes) / 2, sizes).sum() / n
    scores, power = {}, {}
    for name, sign in (("resultant", 1), ("resultant_mirrored", -1)):
        along, power[name] = np.empty(n), 0.0
        truth = pairs.true_pose if sign == 1 else _in_a_mirror(pairs.true_pose)
        a = angle_of(relative_motion(truth, pairs.pose)) * pairs.order
        for rows in rows_of_each(pairs.labels):
            mean = np.exp(1j * a[rows]).mean()
            along[rows] = np.cos(a[rows] - np.angle(mean))
            power[name] += len(rows) * abs(mean) ** 2
        known = {"better": "higher", "ceiling": 1.0} if sign == 1 else {"better": "neither"}
        scores[name] = Score.of_mean(along, resampling, floor=floor, page=PAGE, **known)
    # n R^2 is exponential with mean 1 for n independent angles: 6.9 is a chance of 1 in 1,000
    gain = (power["resultant_mirrored"] - power["resultant"]) / n
    sources = len(np.unique(resampling.sources(n)))
    failed = gain > max(6.9 * np.sqrt(len(sizes)) / sources, _LEAST_GAIN)
    reason = (
        f"FAILURE: the angles run the wrong way round: resultant "
        f"{scores['resultant'].value:.2f} as they are, {scores['resultant_mirrored'].value:.2f} "
        "with the angle negated. Check the direction of rotation and the y axis."
    )
    scores["mirrored"] = Score(
        failed, n, "lower", ceiling=0.0, page=PAGE, reason=reason if failed else ""
    )
    return scores


def shift_convention(pairs: PosePairs, resampling: Resampling) -> Score:
    """Whether a reflection of the plane brings the positions closer than leaving them as they are."""
    a, b = (shift_of(p) - shift_of(p).mean(axis=0) for p in (pairs.pose, pairs.true_pose))
    size = np.sqrt((a**2).sum() * (b**2).sum())
    known = {"n": len(a), "better": "lower", "ceiling": 0.0, "page": PAGE}
    if size < 1e-12:
        return Score.null("the positions, true or predicted, do not vary", page=PAGE)
    cross = a.T @ b / size
    straight = np.trace(cross)
    # best reflection [[c, s], [s, -c]] in closed form
    mirrored = np.hypot(cross[0, 0] - cross[1, 1], cross[0, 1] + cross[1, 0])
    gain = mirrored**2 - max(straight, 0) ** 2
    sources = len(np.unique(resampling.sources(len(a))))
    failed = gain > max(13.8 / sources, _LEAST_GAIN)
    reason = (
        f"FAILURE: the positions are those of a mirror image: correlation {straight:.2f} as they are, "
        f"{mirrored:.2f} reflected. Check the direction of the y axis and the order of x and y."
    )
    return Score(failed, reason=reason if failed else "", **known)


def _in_a_mirror(poses: np.ndarray) -> np.ndarray:
    """F g F, the poses that a reader with the y axis upside down would write."""
    mirror = motion(reflection=1.0, dtype=torch.float64).numpy()
    return product(product(mirror, poses), mirror)


def rows_of_each(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Row indices of each class, in the order of the classes."""
    for c in np.unique(labels):
        yield np.flatnonzero(labels == c)
