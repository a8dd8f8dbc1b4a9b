"""Golden values of pose error and of the importance-weighted bound: measured now against stated.

Angle errors of guesses are means over repetitions; the stated values are single draws of about 1,000 rows.
"""

import numpy as np
import torch

from eqvae.metrics.likelihood.linear_gaussian import LinearGaussian
from eqvae.metrics.pose.circular import fisher_lee
from eqvae.metrics.pose.error import pose_errors
from eqvae.metrics.pose.gauge import Gauge, apply_gauge, fit_gauge, gauge_residuals
from eqvae.symmetry.motions import compose

Check = tuple[str, float, float, float]  # name, measured, stated, tolerance


def golden_checks(expensive: bool = False) -> list[Check]:
    """(name, measured, stated, tolerance); the tolerances are two standard deviations of one draw."""
    del expensive
    checks = []
    for order, stated, spread in (
        (1, 88.8, 5.8),
        (2, 42.3, 2.4),
        (4, 21.9, 1.4),
        (8, 11.0, 0.6),
        (16, 5.4, 0.3),
    ):
        checks.append((f"floor of a guess, k={order}", guess(1000, order, 20), stated, spread))
    for n, stated, runs, spread in (
        (20, 76.7, 400, 15.0),
        (100, 83.7, 200, 6.8),
        (1000, 88.0, 100, 3.0),
    ):
        measured = guess(n, 1, runs, held_out=False)
        checks.append((f"gauge fitted on the {n} scored rows", measured, stated, spread))
    r = np.random.default_rng(0)
    true = poses(r, 2000)
    mirrored = true.copy()
    mirrored[:, 1] = 0.4 - true[:, 1]
    found = pose_errors(mirrored, true)
    checks.append(("global reflection, mean degrees", float(found["angle_mean"]), 88.7, 4.6))
    checks.append(("global reflection, flagged", float(found["mirrored"]), 1.0, 0.0))
    flipped = true.copy()
    flipped[:, 1] += np.pi * r.integers(2, size=len(true))
    modulo = pose_errors(flipped, true, orders=2)["angle_median"]
    checks.append(("C2 flips, error modulo pi", float(modulo), 0.0, 1e-6))
    correlation = fisher_lee(flipped[:, 1], true[:, 1])["fisher_lee"]
    checks.append(("C2 flips, circular correlation", float(correlation), 0.0, 0.06))
    model = LinearGaussian()
    gap = (model.log_weights(1) - model.evidence).abs().max().item()
    return [*checks, ("bound at K=1 minus exact evidence", gap, 0.0, 1e-10)]


def poses(r: np.random.Generator, n: int) -> np.ndarray:
    """Angles uniform, shifts normal with 5 pixels, (n, 4)."""
    return np.c_[np.zeros(n), r.uniform(-np.pi, np.pi, n), r.normal(0, 5, (n, 2))]


def guess(n: int, order: int, runs: int, *, held_out: bool = True) -> float:
    """Mean angle error in degrees of poses that have nothing to do with the truth."""
    errors = []
    for seed in range(runs):
        r = np.random.default_rng(seed)
        pose, true = poses(r, 2 * n), poses(r, 2 * n)
        fit, score = (slice(n), slice(n, None)) if held_out else (slice(n), slice(n))
        gauges = fit_gauge(pose[fit], true[fit], orders=order)
        angle, _ = gauge_residuals(pose[score], true[score], gauges)
        errors.append(np.degrees(np.abs(angle)).mean())
    return float(np.mean(errors))


def planted_gauge_errors(n: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Largest error, degrees and pixels, of planted gauges of order 1, 2, 4 and 8 found under noise."""
    worst = np.zeros(2)
    for order in (1, 2, 4, 8):
        r = np.random.default_rng(seed + order)
        true = poses(r, n)
        planted = Gauge(0.7 / order, (3.0, -2.0), order)
        s = r.integers(order, size=n) * 2 * np.pi / order
        element = np.c_[np.zeros(n), s, np.zeros((n, 2))]
        g = compose(torch.from_numpy(true), torch.from_numpy(element)).numpy()
        pose = apply_gauge(g, {0: planted})
        pose[:, 1] += r.normal(0, np.radians(3), n)
        pose[:, 2:] += r.normal(0, 0.3, (n, 2))
        found = fit_gauge(pose, true, orders=order)[0]
        angle = np.angle(np.exp(1j * order * (found.angle - planted.angle))) / order
        stabiliser = np.exp(2j * np.pi * np.arange(order) / order)
        shift = np.abs(complex(*found.shift) - stabiliser * complex(*planted.shift)).min()
        worst = np.maximum(worst, [np.degrees(abs(angle)), shift])
    return float(worst[0]), float(worst[1])


if __name__ == "__main__":
    for name, measured, stated, tolerance in golden_checks():
        verdict = "ok" if abs(measured - stated) <= tolerance else "DIFFERS"
        print(f"{name:45s} {measured:8.4g} {stated:8.4g} +-{tolerance:.3g} {verdict}")
    angle, shift = planted_gauge_errors()
    print(f"planted gauge, worst of k = 1, 2, 4, 8: {angle:.3f} degrees, {shift:.4f} px")
