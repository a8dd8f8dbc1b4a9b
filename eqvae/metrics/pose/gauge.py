"""The right gauge of a pose: the canonical frame that a model chose for each class of objects.

A model that knows poses only up to its own canonical frame returns

    g_hat_i = g_i s_i h,      h = (phi, tau) one motion for each class, s_i in the object's stabiliser,

with the stabiliser C_k of an object that looks the same after a turn by 2 pi / k. The relative motion
g_i^-1 g_hat_i = s_i h carries all of it: with (a_i, w_i) its angle and shift,

    phi = (1/k) arg sum_i exp(i k a_i),      tau = mean_i R(-s_i) w_i,

s_i being the element that explains angle and shift best. Of poses with a scale h has one as well, the median
of what log-scales differ by, and shifts w_i are in pixels of the object as it is upright. Nothing else is
fitted: a mirrored axis or a y axis that points down is a mistake of convention on the left of g and stays an
error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.pose.orders import Orders, as_labels, row_orders
from eqvae.metrics.pose.poses import as_poses, product, relative_motion, wrap
from eqvae.symmetry.motions import (
    angle_of,
    has_scale,
    log_scale_of,
    motion,
    reflection_of,
    shift_of,
)


@dataclass(frozen=True)
class Gauge:
    """The motion h with g_hat = g s h of one class.

    Attributes:
        angle: phi, radians in (-pi / k, pi / k].
        shift: tau, pixels, (x, y) in the object's upright frame.
        order: k of the stabiliser C_k; 0 if any turn looks the same, then angle and shift are 0.
        reflection: 1 if the canonical object is the mirror image of the true one, which only poses with
            reflections can say.
        axis: angle of a mirror axis of the object in its upright frame, radians; None if it has none
            or no pose showed it. With it the stabiliser is D_k.
        growth: log-scale of h; None where poses have none.
    """

    angle: float
    shift: tuple[float, float]
    order: int = 1
    reflection: int = 0
    axis: float | None = None
    growth: float | None = None

    @property
    def element(self) -> np.ndarray:
        """h, (1, 4) or (1, 5)."""
        how = {"log_scale": self.growth, "dtype": torch.float64}
        return motion(self.angle, self.shift, self.reflection, **how).numpy()


def fit_gauge(
    pose: ArrayLike,
    true_pose: ArrayLike,
    classes: ArrayLike | None = None,
    orders: Orders = 1,
    dihedral: bool = False,
) -> dict[int, Gauge]:
    """The gauge h of each class that brings g h closest to the model's poses.

    Args:
        pose: the model's poses g_hat, (N, 4) rows [reflection, angle, x, y], radians and pixels, or
            (N, 5) with log-scales.
        true_pose: g, (N, 4).
        classes: class of each row, (N,) whole numbers >= 0; None means one class, 0.
        orders: k of the stabiliser C_k, see `Orders`. 0 means that any turn looks the same: the angle is
            undefined and left at 0, and so is the shift, of which only the length would be defined.
        dihedral: the objects also look the same in a mirror (D_k). Poses of the wrong handedness are then
            brought back by the mirror axis, fitted too. Without reflections in the poses the
            stabiliser of such an object is C_k, and this changes nothing.

    Returns:
        {class: Gauge}.

    Raises:
        ValueError: if lengths differ, a number is not finite, or an order is unknown.
    """
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    labels = as_labels(classes, check_lengths(pose=pose, true_pose=true_pose))
    order = row_orders(orders, labels)
    relative = relative_motion(true_pose, pose)
    scaled = has_scale(pose) and has_scale(true_pose)
    return {
        int(c): replace(
            _fit_class(relative[labels == c], int(order[labels == c][0]), dihedral),
            growth=float(np.median(log_scale_of(relative[labels == c]))) if scaled else None,
        )
        for c in np.unique(labels)
    }


def apply_gauge(
    true_pose: ArrayLike, gauges: Mapping[int, Gauge], classes: ArrayLike | None = None
) -> np.ndarray:
    """True poses in the model's frame, g h, (N, 4): what a perfect model would have returned.

    Raises:
        ValueError: if a class has no gauge.
    """
    true_pose = as_poses(true_pose, "true_pose")
    labels = as_labels(classes, len(true_pose))
    _check_gauges(gauges, labels)
    present, index = np.unique(labels, return_inverse=True)
    h = np.concatenate([gauges[int(c)].element for c in present])[index]
    return product(true_pose, h)


def gauge_residuals(
    pose: ArrayLike,
    true_pose: ArrayLike,
    gauges: Mapping[int, Gauge],
    classes: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What a gauge leaves of each pose: signed angle (N,), radians, and shift error (N,), pixels.

        e_angle = wrap(a - phi, 2 pi / k),      e_shift = min over s in C_k of |R(-s) w - tau|

    The angle is NaN where the object has order 0.

    Raises:
        ValueError: if a class has no gauge.
    """
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    labels = as_labels(classes, check_lengths(pose=pose, true_pose=true_pose))
    _check_gauges(gauges, labels)
    relative = relative_motion(true_pose, pose)
    angle, shift = np.full(len(pose), np.nan), np.empty(len(pose))
    for c in np.unique(labels):
        rows, gauge = labels == c, gauges[int(c)]
        a, w = _angle_and_shift(_right_handed(relative[rows], gauge.axis))
        if gauge.order:
            angle[rows] = wrap(a - gauge.angle, 2 * np.pi / gauge.order)
        folded = w[:, None] * np.exp(-1j * _stabiliser(gauge.order))
        shift[rows] = np.abs(folded - complex(*gauge.shift)).min(axis=1)
    if has_scale(true_pose):
        shift = shift * np.exp(log_scale_of(true_pose))  # from upright pixels to those of the image
    return angle, shift


def growth_residuals(
    pose: ArrayLike,
    true_pose: ArrayLike,
    gauges: Mapping[int, Gauge],
    classes: ArrayLike | None = None,
) -> np.ndarray:
    """What a gauge leaves of each log-scale, s_hat - s - s_h, (N,).

    Raises:
        ValueError: if a class has no gauge, or poses have no scale.
    """
    pose, true_pose = as_poses(pose, "pose"), as_poses(true_pose, "true_pose")
    if not (has_scale(pose) and has_scale(true_pose)):
        raise ValueError(
            f"pose and true_pose must have log-scales, shape (N, 5); got {pose.shape} and {true_pose.shape}."
        )
    labels = as_labels(classes, check_lengths(pose=pose, true_pose=true_pose))
    _check_gauges(gauges, labels)
    offset = {c: gauge.growth for c, gauge in gauges.items()}
    return log_scale_of(pose) - log_scale_of(true_pose) - np.array([offset[int(c)] for c in labels])


def _fit_class(relative: np.ndarray, order: int, dihedral: bool) -> Gauge:
    mirrored = reflection_of(relative) == 1
    if order == 0:
        return Gauge(0.0, (0.0, 0.0), 0, int(not dihedral and mirrored.mean() > 0.5))
    reflection, axis = 0, None
    if dihedral and mirrored.any():
        turned = angle_of(relative)
        straight = 0.0 if mirrored.all() else _mean_angle(turned[~mirrored], order)
        axis = _mean_angle(turned[mirrored] + straight, order) / 2
        relative = _right_handed(relative, axis)
    elif mirrored.mean() > 0.5:
        reflection, relative = 1, relative[mirrored]
    else:
        relative = relative[~mirrored]
    a, w = _angle_and_shift(relative)
    phi = _mean_angle(a, order)
    tau = _fit_shift(a - phi, w, order)
    return Gauge(phi, (float(tau.real), float(tau.imag)), order, reflection, axis)


def _fit_shift(a: np.ndarray, w: np.ndarray, order: int) -> complex:
    """tau by alternating s_i = the likeliest element and tau = mean R(-s_i) w_i.

    Both residuals count, each in units of its own spread. By the shifts alone, elements would be assigned
    to noise, and an object without any offset would seem to have one.
    """
    if order == 1:
        return w.mean()
    angle_cost = wrap(a[:, None] - _stabiliser(order)) ** 2  # (n, k)
    folded = w[:, None] * np.exp(-1j * _stabiliser(order))
    rows = np.arange(len(w))
    direction = _mean_angle(np.angle(w), order)
    radial = np.abs(w).mean() * np.exp(1j * direction)
    best, tau = np.inf, 0j
    # one start trusts the angles, one the shifts
    for s in (angle_cost.argmin(axis=1), np.abs(folded - radial).argmin(axis=1)):
        for _ in range(50):
            centre = folded[rows, s].mean()
            shift_cost = np.abs(folded - centre) ** 2
            spread = angle_cost[rows, s].mean() + 1e-12, shift_cost[rows, s].mean() / 2 + 1e-12
            new = (angle_cost / spread[0] + shift_cost / spread[1]).argmin(axis=1)
            if (new == s).all():
                break
            s = new
        surprise = np.log(spread[0]) + 2 * np.log(spread[1])  # -2 log likelihood of a row
        if surprise < best:
            best, tau = surprise, folded[rows, s].mean()
    return tau


def _mean_angle(a: np.ndarray, order: int) -> float:
    return float(np.angle(np.exp(1j * order * a).sum()) / order)


def _stabiliser(order: int) -> np.ndarray:
    return 2 * np.pi * np.arange(max(order, 1)) / max(order, 1)


def _angle_and_shift(relative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return angle_of(relative), shift_of(relative) @ np.array([1, 1j])


def _right_handed(relative: np.ndarray, axis: float | None) -> np.ndarray:
    """Mirrored rows times the object's own mirror about its axis."""
    if axis is None:
        return relative
    mirror = motion(2 * axis, reflection=1.0, dtype=torch.float64).numpy()
    mirrored = reflection_of(relative)[:, None] == 1
    return np.where(mirrored, product(mirror, relative), relative)


def _check_gauges(gauges: Mapping[int, Gauge], labels: np.ndarray) -> None:
    missing = [int(c) for c in np.unique(labels) if int(c) not in gauges]
    if missing:
        raise ValueError(
            f"gauges must name every class; class(es) {missing} have none. Fit the gauge on rows of "
            "every class."
        )
