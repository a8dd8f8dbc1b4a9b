"""Mirrored conventions: poses written with the wrong direction of rotation or an axis that is flipped.

A gauge h on the right of g is free; a mirror on the left is a mistake, theta_hat = phi - theta or
t_hat = F t. It is looked for and reported as a failure with the agreement of both readings, never fitted.
"""

from collections.abc import Iterator

import numpy as np

from eqvae.metrics.pose.gauge import relative_motion
from eqvae.metrics.pose.scores import grouped_mean_interval
from eqvae.metrics.score import Score

PAGE = "pose-error"
_LEAST_GAIN = 0.05  # of a squared resultant or correlation


def angle_convention(
    pose: np.ndarray,
    true_pose: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    groups: np.ndarray,
    options: dict,
) -> dict[str, Score]:
    """Resultants of the angles as they are and under a mirror on the left."""
    n = len(pose)
    if not n:
        return {}
    sizes = np.unique(labels, return_counts=True)[1]
    # E |mean of m unit vectors| = sqrt(pi / 4 m)
    floor = float(np.minimum(np.sqrt(np.pi * sizes) / 2, sizes).sum() / n)
    scores, evidence = {}, {}
    for name, sign in (("resultant", 1), ("resultant_mirrored", -1)):
        along, evidence[name] = np.empty(n), 0.0
        mirror = true_pose * np.array([1, sign, 1, sign])  # F g F
        a = relative_motion(mirror, pose)[:, 1] * order
        for rows in rows_of_each(labels):
            mean = np.exp(1j * a[rows]).mean()
            along[rows] = np.cos(a[rows] - np.angle(mean))
            evidence[name] += len(rows) * abs(mean) ** 2
        ceiling = 1.0 if sign == 1 else None
        scores[name] = Score(
            along.mean(),
            n,
            "higher" if sign == 1 else "neither",
            floor=floor,
            ceiling=ceiling,
            interval=grouped_mean_interval(along, groups, options),
            page=PAGE,
        )
    # n R^2 is exponential with mean 1 for n independent angles: 6.9 is a chance of 1 in 1,000
    gain = (evidence["resultant_mirrored"] - evidence["resultant"]) / n
    failed = gain > max(6.9 * np.sqrt(len(sizes)) / len(np.unique(groups)), _LEAST_GAIN)
    reason = (
        f"FAILURE: the angles run the wrong way round: resultant "
        f"{scores['resultant'].value:.2f} as they are, {scores['resultant_mirrored'].value:.2f} "
        "with the angle negated. Check the direction of rotation and the y axis."
    )
    scores["mirrored"] = Score(
        failed, n, "lower", ceiling=0.0, page=PAGE, reason=reason if failed else ""
    )
    return scores


def shift_convention(pose: np.ndarray, true_pose: np.ndarray, groups: np.ndarray) -> Score:
    """Whether a reflection of the plane brings the positions closer than leaving them as they are."""
    a, b = (p[:, 2:] - p[:, 2:].mean(axis=0) for p in (pose, true_pose))
    size = np.sqrt((a**2).sum() * (b**2).sum())
    known = {"n": len(a), "better": "lower", "ceiling": 0.0, "page": PAGE}
    if size < 1e-12:
        return Score.null("the positions, true or predicted, do not vary", page=PAGE)
    cross = a.T @ b / size
    straight = np.trace(cross)
    # best reflection [[c, s], [s, -c]] in closed form
    mirrored = np.hypot(cross[0, 0] - cross[1, 1], cross[0, 1] + cross[1, 0])
    gain = mirrored**2 - max(straight, 0) ** 2
    failed = gain > max(13.8 / len(np.unique(groups)), _LEAST_GAIN)
    reason = (
        f"FAILURE: the positions are those of a mirror image: correlation {straight:.2f} as they are, "
        f"{mirrored:.2f} reflected. Check the direction of the y axis and the order of x and y."
    )
    return Score(failed, reason=reason if failed else "", **known)


def rows_of_each(labels: np.ndarray) -> Iterator[np.ndarray]:
    for c in np.unique(labels):
        yield np.flatnonzero(labels == c)
