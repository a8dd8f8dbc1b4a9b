"""Pose: error up to the right gauge, consistency without ground truth, calibration, symmetry order."""

from eqvae.metrics.pose.calibration import angle_calibration, position_calibration
from eqvae.metrics.pose.circular import circular_correlation, fisher_lee
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.metrics.pose.error import pose_errors, pose_errors_by_class
from eqvae.metrics.pose.gauge import Gauge, apply_gauge, fit_gauge, gauge_residuals
from eqvae.metrics.pose.symmetry_order import symmetry_order, symmetry_order_accuracy

__all__ = [
    "Gauge",
    "angle_calibration",
    "apply_gauge",
    "circular_correlation",
    "fisher_lee",
    "fit_gauge",
    "gauge_residuals",
    "pose_consistency",
    "pose_errors",
    "pose_errors_by_class",
    "position_calibration",
    "symmetry_order",
    "symmetry_order_accuracy",
]
