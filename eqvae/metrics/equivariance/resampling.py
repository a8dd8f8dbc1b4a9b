"""What a test itself costs: images that have to be interpolated, and images that hardly need it."""

import math

import torch
from torch import Tensor

from eqvae.domains import Domain, HexagonalGrid, SquareGrid
from eqvae.metrics.equivariance.errors import Errors, each, paired_errors
from eqvae.metrics.equivariance.norms import masked_norms


def band_limited(x: Tensor, cutoff: float = 0.75, domain: Domain | None = None) -> Tensor:
    """Images that can be resampled nearly without loss: low-pass, on the inscribed disc.

    Frequencies fall from 1 to 0 between 2/3 of the cutoff and the cutoff, and the image from 1 to 0 over
    the outer eighth of the disc, both as half a cosine.

    Args:
        x: images (B, C, H, H).
        cutoff: fraction of the grid's highest frequency, pi per pixel.
        domain: where the images live; the square grid if None.
    """
    size = x.shape[-1]
    if isinstance(domain, HexagonalGrid):
        window = _half_cosine(domain.points(dtype=torch.float64).norm(dim=-1), *_rim(domain))
        low_pass = _half_cosine(
            domain.frequencies(), 2 / 3 * cutoff * domain.band, cutoff * domain.band
        )
        return torch.fft.ifft2(torch.fft.fft2(x * window.to(x)) * low_pass.to(x)).real
    frequency = torch.fft.fftfreq(size, 0.5).to(x)  # in units of pi per pixel
    frequency = torch.hypot(frequency[:, None], frequency)
    low_pass = _half_cosine(frequency, 2 / 3 * cutoff, cutoff)
    return torch.fft.ifft2(torch.fft.fft2(x * border_window(size).to(x)) * low_pass).real


def border_window(size: int) -> Tensor:
    """1 on the inner 7/8 of the inscribed disc, then half a cosine down to 0 at its rim, (H, H)."""
    grid = SquareGrid(size)
    return _half_cosine(grid.points(dtype=torch.float64).norm(dim=-1), *_rim(grid))


def _rim(domain: Domain) -> tuple[float, float]:
    """Where the window begins to fall, and where it ends, pixels."""
    return 7 / 8 * domain.radius, domain.radius


def _half_cosine(r: Tensor, inner: float, outer: float) -> Tensor:
    """1 up to inner, 0 from outer."""
    return 0.5 + 0.5 * torch.cos(math.pi * ((r - inner) / (outer - inner)).clamp(0, 1))


def resampling_errors(x: Tensor, motions: Tensor, domain: Domain | None = None) -> Errors:
    """Half the error of moving images there and back by Fourier interpolation, where motions keep them.

    Args:
        x: images (B, C, H, H), or signals of another domain.
        motions: (M, E).
        domain: where the images live; the square grid if None.
    """
    domain = SquareGrid.of(x) if domain is None else domain
    with torch.no_grad():
        back = (x + domain.resampling_error(g, x, "fourier") for g in each(motions, x))
        return paired_errors(motions, back, (x for _ in motions), masked_norms(domain))


def resampling_floor(x: Tensor, motions: Tensor) -> Tensor:
    """`resampling_errors` at each motion, relative, (M,): what one resampling alone costs."""
    return torch.from_numpy(resampling_errors(x, motions).relative)
