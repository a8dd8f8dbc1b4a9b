"""How close reconstructions are to their images: MSE, PSNR, SSIM, beside those of the mean image.

    MSE_i  = mean over the pixels of (x_i - x^_i)^2
    PSNR_i = 10 log10(1 / MSE_i)                       decibels, grey values in [0, 1]
    SSIM_i = Wang et al. with a Gaussian window of 11 pixels and standard deviation 1.5

each averaged over the images. The floor is what the mean of all images scores as the reconstruction of
every one: on small objects over a black background that is already far from zero.

References: Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility to structural
similarity (2004). SSIM and PSNR are computed by torchmetrics.
"""

from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

_WINDOW = 11  # pixels of SSIM's Gaussian window
_BATCH = 128
_FLOOR_IMAGES = 1000  # enough for a floor, and SSIM takes 1 ms an image
_KINDS = {
    "mse": dict(better="lower", ceiling=0.0),
    "psnr": dict(better="higher", unit="dB"),
    "ssim": dict(better="higher", ceiling=1.0),
}


@torch.no_grad()
def reconstruction_scores(
    images: Tensor | ArrayLike, reconstructions: Tensor | ArrayLike, **draws: Unpack[Draws]
) -> dict[str, Score]:
    """MSE, PSNR and SSIM of reconstructions.

    Args:
        images: (N, C, H, W) in [0, 1].
        reconstructions: (N, C, H, W), on the same scale; values may overshoot and are not clipped.
        **draws: see `Draws`.

    Returns:
        `mse` (lower is better, 0), `psnr` in decibels (higher, without limit) and `ssim` (higher, 1),
        with the mean image as the floor.

    Raises:
        ValueError: if shapes differ, values are not finite, or images leave [0, 1].
    """
    resampling = Resampling.of(draws)
    x = _as_images(images, "images")
    y = _as_images(reconstructions, "reconstructions")
    if x.shape != y.shape:
        raise ValueError(
            "images and reconstructions must have the same shape; got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    if x.min() < 0 or x.max() > 1:
        raise ValueError(
            f"images must lie in [0, 1]; got {x.min():.3g} to {x.max():.3g}. Divide by the largest "
            "grey value of the camera."
        )
    n = check_lengths(images=x, groups=resampling.groups)
    measured, floors = _by_image(x, y), {}
    if n > 1:  # the mean of one image is that image
        some = x[torch.linspace(0, n - 1, min(n, _FLOOR_IMAGES)).long()]
        floors = _by_image(some, x.double().mean(dim=0).to(x)[None].expand_as(some))
    scores = {}
    for name, kind in _KINDS.items():
        known = dict(kind, n=n, page="reconstruction")
        if name not in measured:
            reason = f"SSIM needs images of at least {_WINDOW} pixels; got {min(x.shape[-2:])}"
            scores[name] = Score.null(reason, **known)
        elif not np.isfinite(measured[name]).all():
            exact = int((~np.isfinite(measured[name])).sum())
            reason = f"{exact} of {n} images are reconstructed exactly: infinite decibels"
            scores[name] = Score.null(reason, **known)
        else:
            floor = floors[name].mean() if name in floors else np.nan
            known["floor"] = floor if np.isfinite(floor) else None
            scores[name] = Score.of_mean(measured[name], resampling, **known)
    return scores


def _by_image(x: Tensor, y: Tensor) -> dict[str, np.ndarray]:
    parts = [_of_batch(a, b) for a, b in zip(x.split(_BATCH), y.split(_BATCH), strict=True)]
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _of_batch(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    exact_x, exact_y = x.double(), y.double()
    values = {
        "mse": (exact_x - exact_y).square().flatten(1).mean(dim=1),
        "psnr": peak_signal_noise_ratio(
            exact_y, exact_x, data_range=1.0, dim=(1, 2, 3), reduction="none"
        ).reshape(len(x)),
    }
    if min(x.shape[-2:]) >= _WINDOW:
        # float32: torch unfolds every window for a convolution in float64, 6 GB for 512 images of 50 x 50
        ssim = structural_similarity_index_measure(
            y.float(), x.float(), data_range=1.0, reduction="none"
        )
        values["ssim"] = ssim.double().reshape(len(x))
    return values


def _as_images(values: Tensor | ArrayLike, name: str) -> Tensor:
    tensor = torch.as_tensor(values).detach()
    if tensor.dim() != 4 or tensor.numel() == 0:
        raise ValueError(f"{name} must be (N, C, H, W); got shape {tuple(tensor.shape)}.")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floats in [0, 1]; got {tensor.dtype}. Divide by 255.")
    if not tensor.isfinite().all():
        raise ValueError(f"{name} must be finite; some values are NaN or infinite.")
    return tensor
