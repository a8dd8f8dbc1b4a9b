"""The contrast transfer function of a transmission electron microscope, without astigmatism.

A thin particle of projected density rho appears as h * rho, with the Fourier transform of h

    CTF(k) = -sin(pi lambda k^2 (d - lambda^2 k^2 C_s / 2) + arcsin(w) + phi) exp(-B k^2 / 4)

at spatial frequency k, for wavelength lambda, defocus d (positive is underfocus), spherical aberration C_s,
amplitude contrast w and the phase shift phi of a phase plate. Without one CTF(0) = -w: the particle is
darker than what is around it.
A radial frequency omega on the pixel grid, in rad/pixel, is k = omega / (2 pi pixel_size).
"""

import math
from typing import TypeVar

import torch
from torch import Tensor

_ANGSTROM_PER_UM = 1e4
_ANGSTROM_PER_MM = 1e7

Number = TypeVar("Number", float, Tensor)


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


def stretched_transfer(transfer: Tensor, log_scale: Tensor) -> Tensor:
    """Transfer functions at frequencies of objects that are e^s as large, T(e^-s k), s (B,): (B, Q).

    Beyond pi rad/pixel of the image the last value holds.
    """
    last = transfer.shape[1] - 1
    share = torch.linspace(0, 1, last + 1).to(transfer) * torch.exp(-log_scale)[:, None]
    place = share.clamp(max=1.0) * last
    below = place.floor().long().clamp(max=last - 1)
    part = place - below
    return transfer.gather(1, below) * (1 - part) + transfer.gather(1, below + 1) * part


def wavelength(voltage: Number) -> Number:
    """Of electrons accelerated by `voltage` kilovolts, Angstrom: h / sqrt(2 m e V (1 + e V / 2 m c^2))."""
    volts = 1e3 * voltage
    energy = volts + 0.978476e-6 * volts**2
    return 12.2643 / (energy.sqrt() if torch.is_tensor(energy) else math.sqrt(energy))


def ctf(
    frequency: Tensor,
    defocus: float | Tensor,
    pixel_size: float = 3.0,
    voltage: float | Tensor = 300.0,
    cs: float | Tensor = 2.7,
    amplitude_contrast: float | Tensor = 0.1,
    b_factor: float = 100.0,
    phase_shift: float | Tensor = 0.0,
) -> Tensor:
    """Contrast transfer function at radial frequencies of the pixel grid.

    Args:
        frequency: radial frequency, rad/pixel, any shape that broadcasts with the optics.
        defocus: micrometres, positive is underfocus.
        pixel_size: Angstrom/pixel.
        voltage: kilovolts.
        cs: spherical aberration, millimetres.
        amplitude_contrast: w in [0, 1), the part of the contrast that is absorption.
        b_factor: B of the envelope, Angstrom^2; 0 for none.
        phase_shift: phi of a phase plate, radians.

    Returns:
        Values in [-1, 1] of the broadcast shape.

    References:
        Rohou, Grigorieff: CTFFIND4: Fast and accurate defocus estimation from electron micrographs
        (2015), https://doi.org/10.1016/j.jsb.2015.08.008, the CTF of its section on theory without
        astigmatism. The envelope is ours, with B as RELION and cryoDRGN use it.

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
    w = amplitude_contrast
    constant = (w.asin() if torch.is_tensor(w) else math.asin(w)) + phase_shift
    return -(phase + constant).sin() * (-b_factor / 4 * squared).exp()


def delocalisation(defocus: Number, pixel_size: float, voltage: Number, cs: Number) -> Number:
    """How far, in pixels, the optics carry the finest detail: a bound of |d phase / d omega| up to pi.

    The CTF turns by at most this many radians in each rad/pixel, so it needs samples that close.
    """
    length = wavelength(voltage)
    finest = 1 / (2 * pixel_size)
    path = abs(defocus) * _ANGSTROM_PER_UM + (length * finest) ** 2 * cs * _ANGSTROM_PER_MM
    return length * finest * path / pixel_size


def astigmatism_phase(astigmatism: Tensor, voltage: Number, frequency: float) -> Tensor:
    """By how much, radians, the phase errs that the mean of two defoci gives, at most over all directions.

        pi lambda k^2 |d_u - d_v| / 2

    Args:
        astigmatism: |d_u - d_v|, Angstrom, (N,).
        voltage: kilovolts, of all or (N,).
        frequency: k, 1/Angstrom.
    """
    return math.pi * wavelength(voltage) * frequency**2 * astigmatism / 2


def ctf_table(
    defocus: Tensor,
    pixel_size: float,
    voltage: float | Tensor,
    cs: float | Tensor,
    amplitude_contrast: float | Tensor,
    b_factor: float = 0.0,
    phase_shift: float | Tensor = 0.0,
) -> Tensor:
    """The CTF on [0, pi] rad/pixel, close enough for linear interpolation to err by less than 0.01, (N, Q).

    Args:
        defocus: micrometres, (N,).
        pixel_size, voltage, cs, amplitude_contrast, b_factor, phase_shift: as for `ctf`; tensors are (N,).
    """
    widest = float(delocalisation(defocus.abs().double(), pixel_size, voltage, cs).max())
    number = max(64, 1 + math.ceil(math.pi * widest / 0.25))
    frequency = torch.linspace(0, math.pi, number, dtype=defocus.dtype)
    optics = (pixel_size, voltage, cs, amplitude_contrast, b_factor, phase_shift)
    by_row = [value[:, None] if torch.is_tensor(value) else value for value in optics]
    return ctf(frequency, defocus[:, None], *by_row)
