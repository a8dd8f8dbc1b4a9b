"""How sharp an average of images is, without a truth: two halves compared at every frequency.

The Fourier ring correlation of two images A and B is

    FRC(r) = Re sum_k A(k) B(k)* / sqrt( sum_k |A(k)|^2  sum_k |B(k)|^2 ),    k on the ring |k| = r.

It is 1 where the halves agree and about 0 +- 1 / sqrt(number of k) where they hold noise only. A blur
agrees with itself: FRC says that detail is reproduced, not that there is much of it.

References: Saxton, Baumeister: The correlation averaging of a regularly arranged bacterial cell envelope
protein (1982), for the FRC; van Heel, Schatz: Fourier shell correlation threshold criteria (2005),
https://doi.org/10.1016/j.jsb.2005.05.009, for how it is read; Rosenthal, Henderson: Optimal determination
of particle orientation (2003), https://doi.org/10.1016/j.jmb.2003.07.013, for 0.143 between halves.
"""

import numpy as np
import torch
from torch import Tensor

THRESHOLD = 0.143  # of the FRC between two halves
LOW = 0.25  # cycles per pixel, half of Nyquist


def fourier_ring_correlation(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of two images at each frequency, see the formula above.

    Args:
        a, b: images (..., H, H).

    Returns:
        Frequencies in cycles per pixel, 0 to 0.5, (R,), and correlations in [-1, 1], (..., R), float64;
        higher is better, 1 for equal images, 0 where one of them has no power.

    Raises:
        ValueError: if the images differ in shape or are not square.
    """
    if a.shape != b.shape or a.dim() < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"a and b must be square images of one shape; got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    size = a.shape[-1]
    fa, fb = torch.fft.fft2(a.double()), torch.fft.fft2(b.double())
    axis = torch.fft.fftfreq(size, dtype=torch.float64) * size
    ring = (axis[:, None].square() + axis.square()).sqrt().round().long().flatten()
    count = size // 2 + 1
    inside = (ring < count).nonzero()[:, 0]

    def over_rings(values: Tensor) -> Tensor:
        sums = values.new_zeros(*values.shape[:-2], count)
        return sums.index_add(-1, ring[inside], values.flatten(-2)[..., inside])

    cross = over_rings((fa * fb.conj()).real)
    power = (over_rings(fa.abs().square()) * over_rings(fb.abs().square())).sqrt()
    least = 1e-24 * power.amax(dim=-1, keepdim=True)  # rounding is no signal
    frc = torch.where(power > least, cross / power.clamp_min(1e-300), 0.0)
    return torch.arange(count, dtype=torch.float64) / size, frc.clamp(-1, 1)


def mean_frc(frequency: np.ndarray, frc: np.ndarray) -> np.ndarray:
    """Mean FRC (..., R) over the frequencies up to half of Nyquist, without 0."""
    return frc[..., (frequency > 0) & (frequency <= LOW)].mean(axis=-1)


def resolution(frequency: np.ndarray, frc: np.ndarray, threshold: float = THRESHOLD) -> float:
    """The finest detail that is reproduced: 1 / the frequency where FRC (R,) first falls below; pixels.

    2, Nyquist's limit, if it never does; NaN if there is no FRC.
    """
    if not np.isfinite(frc).all():
        return float("nan")
    below = np.flatnonzero(frc[1:] < threshold) + 1
    if len(below) == 0:
        return float(1 / frequency[-1])
    i = below[0]
    if i == 1:
        return float(1 / frequency[1])
    part = (frc[i - 1] - threshold) / (frc[i - 1] - frc[i])
    return float(1 / (frequency[i - 1] + part * (frequency[i] - frequency[i - 1])))
