"""The cheap invariant: angular magnitudes of the power spectrum.

A shift changes only the phases of the Fourier transform, so P(k) = |x^(k)|^2 does not see it; a rotation of
the image turns P. On polar coordinates that turn is a shift of the angle, whose own Fourier magnitudes

    c_m(k) = |sum_phi log(P(k, phi) + floor) exp(-i m phi)|

do not see it either. P(-k) = P(k), so that only even m are there. PCA keeps the largest directions.
"""

import math
import time

import numpy as np
import torch
from sklearn.decomposition import PCA

from .images import foreground, grey, polar, polarity
from .result import PeerResult


def fit_transform(
    train: np.ndarray,
    val: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    dim: int = 16,
    num_orders: int = 8,
    num_angles: int = 64,
    floor: float = 1e-2,
) -> PeerResult:
    """Content of the test images; no pose, because the magnitudes threw it away.

    Args:
        train, val, test: images, (N, C, H, H); val is not looked at.
        seed: of the PCA.
        dim: components that PCA keeps.
        num_orders: angular orders m = 0, 2, ..., 2 (num_orders - 1).
        num_angles: samples on each circle of the spectrum.
        floor: added to the power before the logarithm, as a share of the mean power at the centre, so that
            frequencies without signal do not count.
    """
    begin = time.perf_counter()
    sign = polarity(grey(train))
    powers = [_spectrum(foreground(grey(part), sign), num_angles) for part in (train, test)]
    floor = floor * float(powers[0][:, 0].mean())
    features = [_angular_magnitudes(power, floor, num_orders) for power in powers]
    pca = PCA(min(dim, *features[0].shape), random_state=seed).fit(features[0])
    content = pca.transform(features[1])
    return PeerResult(
        content=content,
        angle=None,
        shift=None,
        seconds=time.perf_counter() - begin,
        elbo=None,
        images_per_second=None,
        notes=f"{content.shape[1]} principal components of {features[0].shape[1]} angular magnitudes",
    )


def _spectrum(images: np.ndarray, num_angles: int) -> torch.Tensor:
    """Power on circles of the frequency plane, (N, R, num_angles), up to the Nyquist frequency."""
    size = images.shape[-1]
    canvas = 2 * size + 1  # odd: zero frequency in the middle; padded: a spectrum that is smooth
    radii = torch.arange(1, size // 2 + 1) * (canvas / size)
    circles = []
    for part in torch.from_numpy(images).split(512):
        transform = torch.fft.fftshift(torch.fft.fft2(part, s=(canvas, canvas)), dim=(1, 2))
        centres = torch.zeros(len(part), 2)
        circles.append(polar(transform.abs().square(), centres, radii, num_angles))
    return torch.cat(circles)


def _angular_magnitudes(power: torch.Tensor, floor: float, num_orders: int) -> np.ndarray:
    """c_m(k) for even m, (N, R * num_orders), every circle weighted by the root of its length."""
    orders = torch.fft.rfft(power.add(floor).log(), dim=2).abs()[..., : 2 * num_orders : 2]
    orders = orders / power.shape[2]
    orders[..., 1:] *= math.sqrt(2)  # +m and -m
    weight = torch.arange(1, power.shape[1] + 1).sqrt()
    return (orders * weight[:, None]).flatten(1).numpy()
