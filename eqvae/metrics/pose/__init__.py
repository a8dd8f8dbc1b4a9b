"""Pose: error up to the right gauge, consistency without ground truth, calibration, symmetry order."""
