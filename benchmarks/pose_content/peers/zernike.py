"""Magnitudes of Zernike moments, by mahotas: a classical description of shape that ignores rotations.

    Z_nl = (n + 1) / pi sum_p f(p) V_nl(p)^*,   V_nl(r, phi) = R_nl(r) exp(i l phi),   |p| <= radius,

about the centre of mass, with grey values that add up to 1. A rotation by theta multiplies Z_nl by
exp(-i l theta), and the magnitudes stay. They have no reference direction and so no angle; the shift is the
centre of mass.

References: Teague: Image analysis via the general theory of moments (1980); Khotanzad, Hong: Invariant image
recognition by Zernike moments (1990); Coelho: mahotas (2013), https://mahotas.readthedocs.io.
"""

import time
from pathlib import Path

import numpy as np

from .images import centre_of_mass, foreground, grey, mass, polarity
from .result import PeerResult
from .worker import run_worker


def fit_transform(
    train: np.ndarray,
    val: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    python: str | Path,
    degree: int = 12,
    radius: float | None = None,
    blur: float = 1.0,
    threads: int = 1,
) -> PeerResult:
    """Content: moment magnitudes of the test images, standardised by the training images.

    Args:
        train, val, test: images, (N, C, H, H); val is not looked at. At most 1,000 of the training images
            are described.
        seed: unused: nothing is random.
        python: interpreter with mahotas, see `environment.py`.
        degree: largest n; the first two magnitudes hold nothing (mass and centre) and are left out.
        radius: of the disc, pixels; if None, what holds 98 % of the mass of 95 % of the training images,
            but at most half of H.
        blur: standard deviation of the Gaussian before noise is cut off, pixels; see `images.mass`.
        threads: of the worker.
    """
    begin = time.perf_counter()
    some = grey(train[:: max(1, len(train) // 1000)])[:1000]
    sign = polarity(some)
    size = train.shape[-1]
    shown = [foreground(part, sign) for part in (some, grey(test))]
    centres = [centre_of_mass(part) for part in shown]
    learned, described = (mass(part, blur) for part in shown)
    if radius is None:
        radius = min(float(np.quantile(_reach(learned, centres[0]), 0.95)), size / 2)
    # mahotas counts rows and columns
    rows_columns = [np.stack([-c[:, 1], c[:, 0]], axis=1) + (size - 1) / 2 for c in centres]
    prepared = time.perf_counter() - begin
    found = run_worker(
        python,
        "zernike_worker.py",
        {"degree": degree, "radius": radius},
        threads,
        images=np.concatenate([learned, described]),
        centres=np.concatenate(rows_columns),
    )
    # Z_00 is the mass, which is 1, and Z_11 vanishes about the centre of mass
    moments = found["moments"][:, 2:]
    train_moments, test_moments = moments[: len(learned)], moments[len(learned) :]
    spread = train_moments.std(axis=0) + 1e-12
    return PeerResult(
        content=(test_moments - train_moments.mean(axis=0)) / spread,
        angle=None,
        shift=centres[1],
        seconds=prepared + float(found["seconds"]),
        elbo=None,
        images_per_second=float(len(moments) / found["seconds"]),
        notes=f"degree {degree}, radius {radius:.1f} pixels, {moments.shape[1]} magnitudes; "
        "images per second are described, not trained on",
    )


def _reach(images: np.ndarray, centres: np.ndarray, share: float = 0.98) -> np.ndarray:
    """Radius about the centre that holds a share of the mass, (N,)."""
    size = images.shape[-1]
    line = np.arange(size) - (size - 1) / 2
    radius = np.hypot(line - centres[:, :1, None], -line[:, None] - centres[:, 1:, None])
    order = np.argsort(radius.reshape(len(images), -1), axis=1)
    radius = np.take_along_axis(radius.reshape(len(images), -1), order, axis=1)
    held = np.cumsum(np.take_along_axis(images.reshape(len(images), -1), order, axis=1), axis=1)
    return radius[np.arange(len(images)), (held >= share * held[:, -1:]).argmax(axis=1)]
