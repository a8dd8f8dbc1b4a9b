"""How far off is the pose, and does the model know?"""

from dataclasses import replace

import numpy as np

from eqvae.distributions import rows_of
from eqvae.drawing.scores import angle_error_figure, coverage_figure
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.pose.calibration import angle_calibration, position_calibration
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.metrics.pose.error import pose_errors, pose_errors_by_class
from eqvae.metrics.pose.gauge import apply_gauge, fit_gauge, gauge_residuals
from eqvae.metrics.pose.scale import scale_errors
from eqvae.metrics.pose.split import gauge_split
from eqvae.metrics.pose.symmetry_order import symmetry_order_accuracy
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import angle_of, has_scale, reflection_of, shift_of

PLACE = 40
_LEVELS = (50, 90, 95)  # per cent, of the credible sets


def pose(held_out: HeldOut) -> Findings:
    """Pose of moved images against the moved pose; with true poses its error and calibration."""
    if not held_out.has_pose:
        return Findings({"error": Score.null("the latent holds no psi_1 to read an angle from")})
    scores = _consistency(held_out)
    if held_out.poses is None:
        unknown = "the true poses are not known"
        return Findings(scores | {"error": Score.null(unknown), "calibration": Score.null(unknown)})
    scores |= _errors(held_out)
    truth, angles, scored = _scored_truth(held_out)
    if len(scored) == 0:
        reason = "no class has two images, one to fit the gauge and one to score"
        return Findings(scores | {"calibration": Score.null(reason)})
    calibrated, points = _calibration(held_out, truth, scored)
    scores |= calibrated | _symmetry_order(held_out)
    shown = {"Credible sets of the pose": coverage_figure(points)}
    if len(angles):
        floor = scores["error/angle_median"].floor or 90.0
        shown["Pose against the truth"] = angle_error_figure(angles, floor)
    return Findings(scores, shown)


def _consistency(held_out: HeldOut) -> dict[str, Score]:
    """Does the pose move with the image? A frame vector has no chirality to tell mirrors by."""
    moved = held_out.moved
    first, proper = slice(moved.n), reflection_of(moved.motions) == 0
    scores = pose_consistency(
        held_out.pose[first],
        moved.pose[proper],
        moved.motions[proper],
        orders=held_out.orders,
        classes=picked(held_out.labels, first),
        groups=picked(held_out.groups, first),
        seed=held_out.seed,
    )
    return {f"consistency/{name}": score for name, score in placed(held_out, scores).items()}


def _errors(held_out: HeldOut) -> dict[str, Score]:
    """Errors against the true poses, of all images and of each class."""
    labels = held_out.labels
    how = {"classes": labels, "orders": held_out.orders}
    how |= {"groups": held_out.groups, "seed": held_out.seed}
    errors = placed(held_out, pose_errors(held_out.pose, held_out.poses, **how))
    if held_out.symmetry_orders is None:
        assumed = (
            "the data do not say which objects look the same after a part of a turn: none, assumed"
        )
        errors["angle_median"] = replace(errors["angle_median"], reason=assumed)
    if has_scale(held_out.poses):
        sizes = {"classes": labels, "groups": held_out.groups, "seed": held_out.seed}
        errors |= scale_errors(held_out.pose, held_out.poses, **sizes)
    scores = {f"error/{name}": score for name, score in errors.items()}
    if labels is None:
        return scores
    names = ["angle_median"] + ["shift_median"] * held_out.representation.position
    by_class = pose_errors_by_class(held_out.pose, held_out.poses, **how)
    return scores | {
        f"error/class_{c}/{name}": found[name] for c, found in by_class.items() for name in names
    }


def _calibration(
    held_out: HeldOut, truth: np.ndarray, rows: np.ndarray
) -> tuple[dict[str, Score], dict[str, tuple[float, Score]]]:
    """Scores of the credible sets of the scored rows, and what is drawn of them."""
    q, latent = held_out.encoding.posterior, held_out.representation
    here = {"groups": picked(held_out.groups, rows), "seed": held_out.seed}
    found = {
        "angle": angle_calibration(
            rows_of(q, rows).angle_log_density(),
            angle_of(truth),
            orders=held_out.orders,
            classes=picked(held_out.labels, rows),
            **here,
        )
    }
    if latent.position:
        position = q.mode[:, latent.slices.position]
        found["position"] = position_calibration(
            position[rows], q.position_scale[rows], shift_of(truth), **here
        )
    scores = {
        f"calibration/{part}/{name}": s for part, some in found.items() for name, s in some.items()
    }
    points = {
        f"{part} {level} %": (level / 100, some[f"coverage_{level}"])
        for part, some in found.items()
        for level in _LEVELS
    }
    return scores, points


def _symmetry_order(held_out: HeldOut) -> dict[str, Score]:
    """How often the posterior shows the object's own symmetry; a distribution with one mode can't."""
    q = held_out.encoding.posterior
    if not q.shows_symmetry:
        one_mode = "the angle of a frame vector has one mode, so it shows no symmetry order"
        return {"symmetry_order": Score.null(one_mode, page="symmetry-order")}
    if not isinstance(held_out.orders, dict):
        unknown = "the data do not say which objects look the same after a part of a turn"
        return {"symmetry_order": Score.null(unknown, page="symmetry-order")}
    truth = np.array([held_out.orders[int(c)] for c in held_out.labels])
    found = symmetry_order_accuracy(
        q.angle_log_density(), truth, groups=held_out.groups, seed=held_out.seed
    )
    return {f"symmetry_order/{name}": score for name, score in found.items()}


def placed(held_out: HeldOut, scores: dict[str, Score]) -> dict[str, Score]:
    """The scores, without those of a position that the latent does not hold."""
    if held_out.representation.position:
        return scores
    missing = "the latent holds no position"
    return {
        name: Score.null(missing, page=score.page) if name.startswith("shift") else score
        for name, score in scores.items()
    }


def _scored_truth(held_out: HeldOut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True poses in the model's frame, angle errors in degrees, and which rows: those that fit no gauge."""
    n, orders = len(held_out.batch), held_out.orders
    labels = np.zeros(n, int) if held_out.labels is None else held_out.labels.numpy()
    groups = np.arange(n) if held_out.groups is None else held_out.groups.numpy()
    fit, rest = gauge_split(labels, groups, seed=held_out.seed)
    rows = np.flatnonzero(rest)
    if len(rows) == 0:
        return np.empty((0, 4)), np.empty(0), rows
    pose, poses = held_out.pose, held_out.poses
    gauges = fit_gauge(pose[fit], poses[fit], labels[fit], orders)
    angle, _ = gauge_residuals(pose[rows], poses[rows], gauges, labels[rows])
    truth = apply_gauge(poses[rows], gauges, labels[rows])
    return truth, np.degrees(np.abs(angle[np.isfinite(angle)])), rows
