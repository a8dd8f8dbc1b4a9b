"""Errors of scales: planted ones are found, factors of a class are free, shifts are pixels of the image."""

import numpy as np
import pytest

from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.metrics.pose.error import pose_errors
from eqvae.metrics.pose.gauge import apply_gauge, fit_gauge
from eqvae.metrics.pose.poses import product
from eqvae.metrics.pose.scale import scale_errors

N, FAST = 400, {"resamples": 20}


def poses(seed: int = 0) -> np.ndarray:
    r = np.random.default_rng(seed)
    shape = r.uniform(-np.pi, np.pi, N), r.normal(0, 5, (N, 2)), r.uniform(-0.5, 0.5, N)
    return np.c_[np.zeros(N), *shape]


def test_a_factor_for_each_class_is_no_error_and_noise_is_one():
    true, r = poses(), np.random.default_rng(1)
    labels = r.integers(3, size=N)
    own = np.array([[0, 0.4, 1.0, -0.5, 0.3], [0, -1.0, 0.0, 2.0, -0.2], [0, 2.0, 0.5, 0.0, 0.0]])
    perfect = product(true, own[labels])
    scores = scale_errors(perfect, true, classes=labels, **FAST)
    assert scores["scale_median"].value < 1e-10 and scores["scale_mean"].floor > 20
    errors = pose_errors(perfect, true, classes=labels, **FAST)
    assert errors["angle_median"].value < 1e-6 and errors["shift_median"].value < 1e-9
    assert scale_errors(perfect, true, **FAST)["scale_median"].value > 5  # control: one for all
    noisy = perfect.copy()
    noisy[:, 4] += r.normal(0, 0.02, N)
    assert scale_errors(noisy, true, classes=labels, **FAST)["scale_median"].value == pytest.approx(
        100 * np.expm1(0.02 * 0.6745), rel=0.25
    )
    gauges = fit_gauge(perfect, true, labels)
    np.testing.assert_allclose(apply_gauge(true, gauges, labels), perfect, atol=1e-9)


def test_shift_errors_are_pixels_of_the_image():
    true = poses()
    pose = true + np.array([0, 0, 0.0, 0, 0])
    pose[::2, 2] += 0.5
    pose[1::2, 2] -= 0.5  # no gauge explains it
    assert pose_errors(pose, true, **FAST)["shift_median"].value == pytest.approx(0.5, rel=0.1)


def test_poses_without_a_scale_have_no_error_of_it():
    true = poses()
    for pose, truth, whose in ((true[:, :4], true, "model"), (true, true[:, :4], "true")):
        found = scale_errors(pose, truth, **FAST)["scale_median"]
        assert found.value is None and whose in found.reason
    assert pose_errors(true[:, :4], true, **FAST)["shift_median"].value < 1e-9


def test_a_scale_in_content_is_a_leak_and_its_absence_none():
    true, r = poses(), np.random.default_rng(2)
    innocent = r.normal(size=(N, 4))
    how = {"probes": ("linear",), "seed": 0}
    leak = pose_leak(np.c_[innocent, true[:, 4]], true, **how)
    assert leak["scale/linear"].value > 0.95 and leak["position/linear"].value < 0.1
    assert pose_leak(innocent, true, **how)["scale/linear"].value < 0.05
    assert "scale/linear" not in pose_leak(innocent, true[:, :4], **how)


def test_consistency_of_poses_with_a_scale():
    pose, motions = poses()[:50], np.array([[0, 0.5, 1.0, 0.0], [0, -1.0, 0.0, 2.0]])
    moved = np.stack([product(m[None], pose) for m in motions])
    assert moved.shape == (2, 50, 5)
    scores = pose_consistency(pose, moved, motions, **FAST)
    assert scores["angle_median"].value < 1e-6 and scores["shift_median"].value < 1e-9
