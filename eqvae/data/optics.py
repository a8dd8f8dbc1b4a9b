"""The contrast transfer function of a transmission electron microscope, without astigmatism.

A thin particle of projected density rho appears as h * rho, with the Fourier transform of h

    CTF(k) = -sin(pi lambda k^2 (d - lambda^2 k^2 C_s / 2) + arcsin(w)) exp(-B k^2 / 4)

at spatial frequency k, for wavelength lambda, defocus d (positive is underfocus), spherical
aberration C_s and amplitude contrast w. CTF(0) = -w: the particle is darker than what is around it.
A radial frequency omega on the pixel grid, in rad/pixel, is k = omega / (2 pi pixel_size).
"""

import math

import torch
from torch import Tensor

_ANGSTROM_PER_UM = 1e4
_ANGSTROM_PER_MM = 1e7


def transfer_at(transfer: Tensor, share: Tensor) -> Tensor:
    """Transfer functions at radial frequencies, linear between those that a table has.

    Args:
        transfer: at Q equally spaced radial frequencies from 0 to pi rad/pixel, (B, Q).
        share: of pi, any shape; beyond 1 the last value holds.

    Returns:
        (B, *share.shape).
    """
    last = transfer.shape[1] - 1
    place = share.clamp(max=1.0) * last
    below = place.floor().long().clamp(max=last - 1)
    part = place - below
    return transfer[:, below] * (1 - part) + transfer[:, below + 1] * part


def wavelength(voltage: float) -> float:
    """Of electrons accelerated by `voltage` kilovolts, Angstrom: h / sqrt(2 m e V (1 + e V / 2 m c^2))."""
    volts = 1e3 * voltage
    return 12.2643 / math.sqrt(volts + 0.978476e-6 * volts**2)


def ctf(
    frequency: Tensor,
    defocus: float | Tensor,
    pixel_size: float = 3.0,
    voltage: float = 300.0,
    cs: float = 2.7,
    amplitude_contrast: float = 0.1,
    b_factor: float = 100.0,
) -> Tensor:
    """Contrast transfer function at radial frequencies of the pixel grid.

    Args:
        frequency: radial frequency, rad/pixel, any shape that broadcasts with `defocus`.
        defocus: micrometres, positive is underfocus.
        pixel_size: Angstrom/pixel.
        voltage: kilovolts.
        cs: spherical aberration, millimetres.
        amplitude_contrast: w in [0, 1), the part of the contrast that is absorption.
        b_factor: B of the envelope, Angstrom^2; 0 for none.

    Returns:
        Values in [-1, 1] of the broadcast shape.

    References:
        Rohou, Grigorieff: CTFFIND4: Fast and accurate defocus estimation from electron micrographs
        (2015), https://doi.org/10.1016/j.jsb.2015.08.008, the CTF of its section on theory without
        astigmatism and phase plate. The envelope is ours, with B as RELION and cryoDRGN use it.

    Example:
        >>> ctf(Tensor([0.0]), defocus=1.5)
        tensor([-0.1000])
    """
    length = wavelength(voltage)
    squared = (frequency / (2 * math.pi * pixel_size)).square()
    phase = (
        math.pi
        * length
        * squared
        * (defocus * _ANGSTROM_PER_UM - length**2 * squared * cs * _ANGSTROM_PER_MM / 2)
    )
    return -(phase + math.asin(amplitude_contrast)).sin() * (-b_factor / 4 * squared).exp()


def delocalisation(defocus: float, pixel_size: float, voltage: float, cs: float) -> float:
    """How far, in pixels, the optics carry the finest detail: a bound of |d phase / d omega| up to pi.

    The CTF turns by at most this many radians in each rad/pixel, so it needs samples that close.
    """
    length = wavelength(voltage)
    finest = 1 / (2 * pixel_size)
    path = abs(defocus) * _ANGSTROM_PER_UM + (length * finest) ** 2 * cs * _ANGSTROM_PER_MM
    return length * finest * path / pixel_size


def ctf_table(
    defocus: Tensor,
    pixel_size: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    b_factor: float = 0.0,
) -> Tensor:
    """The CTF on [0, pi] rad/pixel, close enough for linear interpolation to err by less than 0.01, (N, Q).

    Args:
        defocus: micrometres, (N,).
        pixel_size, voltage, cs, amplitude_contrast, b_factor: as for `ctf`.
    """
    widest = delocalisation(float(defocus.abs().max()), pixel_size, voltage, cs)
    number = max(64, 1 + math.ceil(math.pi * widest / 0.25))
    frequency = torch.linspace(0, math.pi, number, dtype=defocus.dtype)
    optics = (pixel_size, voltage, cs, amplitude_contrast, b_factor)
    return ctf(frequency, defocus[:, None], *optics)
