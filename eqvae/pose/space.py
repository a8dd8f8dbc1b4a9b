"""Where images and templates are compared: orthonormal coordinates about a position.

An image seen from t has coordinates a = (disk-harmonic coefficients of every channel, background of every
channel): the last axis of a channel is what a constant image adds beyond the disk harmonics,

    a_0 = (sum_p x(p) - o . a) / nu,      o_k = sum_p phi_k(p),      nu^2 = number of pixels - |o|^2,

so that inner products of coordinates are inner products of images (up to the border of the frame: what
lies outside counts as zero). Turning the object by theta turns the pairs of frequency l by l theta;
a shift of the object is a shift of t. With a template d and all angles theta_n = 2 pi n / N,

    <R(theta_n) d, a> = Re sum_l e^{i l theta_n} sum_k d_lk conj(a_lk)

is one small matrix product over l: no image is ever turned.

Objects that are e^s as large are seen in functions that are e^s as wide, phi(e^-s (p - t)) e^-s, which are
orthonormal again: a template d has the coordinates e^s d there, `stretch`, so that its norm grows with it.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.data.optics import stretched_transfer, transfer_at
from eqvae.nn.deformations import generator_matrix, radial_quadrature
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.tables import table
from eqvae.symmetry.motions import cos_sin, has_scale, log_scale_of, shift_of


@dataclass(frozen=True)
class View:
    """Images seen from positions.

    Attributes:
        space: where the coordinates live.
        image: (B, C, H, H).
        position: pixels, (B, 2).
        coordinates: (B, dim), see above.
        energy: sum of the squared pixels, (B,).
        transfer: radial transfer function of the optics at frequencies from 0 to pi, (B, Q), or None.
        log_scale: s of objects that are e^s as large, (B,); None where all have one size.
    """

    space: "TemplateSpace"
    image: Tensor
    position: Tensor
    coordinates: Tensor
    energy: Tensor
    transfer: Tensor | None = None
    log_scale: Tensor | None = None

    @property
    def own_coordinates(self) -> Tensor:
        """The coordinates as the object would have them at scale 1, (B, dim)."""
        if self.log_scale is None:
            return self.coordinates
        return self.space.shrink(self.coordinates, self.log_scale)

    @property
    def own_transfer(self) -> Tensor | None:
        """The transfer function at frequencies of the object at scale 1, (B, Q)."""
        if self.log_scale is None or self.transfer is None:
            return self.transfer
        return stretched_transfer(self.transfer, self.log_scale)

    def at(self, g: Tensor) -> "View":
        """The same images seen from where motions (B, 4) or (B, 5) put the object, and at its scale."""
        t, s = shift_of(g), log_scale_of(g) if has_scale(g) else None
        coordinates = self.space.analyse(self.image, t, s)
        return replace(self, position=t, coordinates=coordinates, log_scale=s)

    def repeated(self, count: int, log_scale: Tensor) -> "View":
        """Every image `count` times over, at as many log-scales, (B count,)."""
        x, t = (a.repeat_interleave(count, dim=0) for a in (self.image, self.position))
        transfer = self.transfer
        if transfer is not None:
            transfer = transfer.repeat_interleave(count, dim=0)
        return self.space.look(x, t, transfer, log_scale)


class Layout(NamedTuple):
    """What the coordinates are, each (dim,) unless said.

    Attributes:
        frequency: l, 0 for the background.
        partner: where the other half of the pair lies.
        sign: of the partner under a quarter turn, 0 for l = 0.
        parity: -1 for sines, which a mirror negates.
        by_frequency: 1 where a coordinate has frequency l, (dim, N + 1).
        constant: coefficients of a constant image in one channel, (harmonics.dim,).
        remainder: nu, the norm of what it has beyond them, ().
    """

    frequency: Tensor
    partner: Tensor
    sign: Tensor
    parity: Tensor
    by_frequency: Tensor
    constant: Tensor
    remainder: Tensor


@dataclass(frozen=True)
class TemplateSpace:
    """Coordinates of images about a position, and how motions, deformations and optics act on them.

    Args:
        harmonics: the basis, and the number of channels.
    """

    harmonics: DiskHarmonics

    @property
    def channels(self) -> int:
        return self.harmonics.channels

    @property
    def dim(self) -> int:
        return self.channels * (self.harmonics.dim + 1)

    @property
    def max_frequency(self) -> int:
        return self.harmonics.degree

    def layout(self, like: Tensor) -> Layout:
        """What the coordinates are, where and as precise as a tensor."""
        return table(_layout, *self.harmonics.numbers, like=like)

    def look(
        self,
        x: Tensor,
        t: Tensor,
        transfer: Tensor | None = None,
        log_scale: Tensor | None = None,
    ) -> View:
        """Images (B, C, H, H) seen from positions (B, 2), at log-scales (B,) where objects have them."""
        energy = x.square().flatten(1).sum(dim=1)
        return View(self, x, t, self.analyse(x, t, log_scale), energy, transfer, log_scale)

    def analyse(self, x: Tensor, t: Tensor, log_scale: Tensor | None = None) -> Tensor:
        """Coordinates of images (B, C, H, H) about t: (B, 2) -> (B, dim), (B, V, 2) -> (B, V, dim)."""
        if t.dim() == 3:
            batch, views = t.shape[:2]
            many = x[:, None].expand(-1, views, -1, -1, -1).reshape(-1, *x.shape[1:])
            if log_scale is not None:
                log_scale = log_scale.repeat_interleave(views)
            return self.analyse(many, t.reshape(-1, 2), log_scale).unflatten(0, (batch, views))
        a = self.harmonics.analyse(x, t, log_scale)
        total = x.sum(dim=(2, 3))
        layout = self.layout(x)
        if log_scale is None:
            background = (total - a @ layout.constant) / layout.remainder
            return torch.cat([a.flatten(1), background], dim=1)
        # a belongs to functions without norm, the image's own coordinates are e^s a
        area = torch.exp(2 * log_scale)[:, None]
        background = (total - area * (a @ layout.constant)) / self._remainder(log_scale, x)
        return torch.cat([area.sqrt() * a.flatten(1), background], dim=1)

    def synthesise(self, d: Tensor, t: Tensor, log_scale: Tensor | None = None) -> Tensor:
        """Images (B, C, H, H) of coordinates (B, dim) about positions (B, 2), e^log_scale as large."""
        images = self.harmonics.synthesise(self.coefficients(d, flat=True), t, log_scale)
        return images + self._background(d)[:, :, None, None]

    def evaluate(
        self, d: Tensor, t: Tensor, points: Tensor, log_scale: Tensor | None = None
    ) -> Tensor:
        """The same at any points (B, P, 2): (B, C, P)."""
        images = self.harmonics.evaluate(self.coefficients(d, flat=True), t, points, log_scale)
        return images + self._background(d)[:, :, None]

    def stretch(self, d: Tensor, log_scale: Tensor) -> Tensor:
        """What objects of coordinates (B, ..., dim) have when they are e^log_scale (B,) as large."""
        return d * self._growth(log_scale, d)

    def shrink(self, d: Tensor, log_scale: Tensor) -> Tensor:
        """`stretch` undone."""
        return d / self._growth(log_scale, d)

    def coefficients(self, a: Tensor, *, flat: bool = False) -> Tensor:
        """Disk-harmonic coefficients (..., C, dim) of coordinates (..., dim), the background left out.

        Args:
            a: coordinates.
            flat: also take away what a constant background adds to the coefficients, measured where no
                object is: beyond the disc.
        """
        d = a[..., : -self.channels].unflatten(-1, (self.channels, -1))
        if flat:
            d = d - self._background(a)[..., None] * self.layout(a).constant
        return d

    def extend(self, coefficients: Tensor) -> Tensor:
        """Coordinates (B, dim) of an object without background from coefficients (B, C, dim)."""
        return F.pad(coefficients.flatten(1), (0, self.channels))

    def quarter(self, d: Tensor) -> Tensor:
        """i d: every pair turned by 90 degrees, l = 0 dropped; the derivative of a turn is l i d."""
        layout = self.layout(d)
        return d[..., layout.partner] * layout.sign

    def mirror(self, d: Tensor) -> Tensor:
        """F d: the sines change sign."""
        return d * self.layout(d).parity

    def turn(self, d: Tensor, angle: Tensor, reflection: Tensor | None = None) -> Tensor:
        """R(angle) F^reflection d, for coordinates (B, dim) and angles (B,)."""
        if reflection is not None:
            d = torch.where(reflection[:, None] > 0.5, self.mirror(d), d)
        cos, sin = cos_sin(self.layout(angle).frequency * angle[:, None])
        return cos * d + sin * self.quarter(d)

    def derivative(self, d: Tensor, generator: str) -> Tensor:
        """The tangent of a motion, deformation or change of brightness at coordinates (..., dim).

        Generators are "angle" (per radian), those of `eqvae.nn.deformations`, "growth" (per unit of
        log-scale, of an object as bright as before), "intensity" (d itself) and "background" (a constant
        image of height 1 in every channel).
        """
        if generator == "growth":
            return self.derivative(d, "scale") + d  # `scale` keeps the norm
        if generator == "angle":
            return self.layout(d).frequency * self.quarter(d)
        if generator == "intensity":
            return d
        if generator == "background":
            layout = self.layout(d)
            parts = layout.constant.repeat(self.channels), layout.remainder.expand(self.channels)
            return torch.cat(parts).expand_as(d)
        (matrix,) = table(_generator, generator, *self.harmonics.numbers, like=d)
        moved = d[..., : -self.channels].unflatten(-1, (self.channels, -1)) @ matrix.T
        return F.pad(moved.flatten(-2), (0, self.channels))

    def filter(self, d: Tensor, transfer: Tensor) -> Tensor:
        """Coordinates (B, ..., dim) seen through optics with radial transfer functions (B, Q)."""
        points = max(64, 2 * transfer.shape[1])
        frequency, basis, index = table(_radial_transform, points, *self.harmonics.numbers, like=d)
        values = transfer_at(transfer, frequency / math.pi)  # (B, points)
        body = d[..., : -self.channels].unflatten(-1, (self.channels, -1))
        flat = body.reshape(d.shape[0], -1, self.harmonics.dim)  # (B, M, dim)
        copies = F.pad(flat, (0, 1))[..., index].permute(2, 0, 1, 3)  # (rows, B, M, n)
        spectrum = (copies.flatten(1, 2) @ basis).unflatten(1, flat.shape[:2])
        seen = ((spectrum * values[:, None]).flatten(1, 2) @ basis.mT).unflatten(1, flat.shape[:2])
        out = flat.new_zeros(*flat.shape[:2], self.harmonics.dim + 1)
        out[..., index.flatten()] = seen.permute(1, 2, 0, 3).flatten(2)
        filtered = out[..., :-1].reshape(body.shape).flatten(-2)
        level = transfer[:, :1].reshape(d.shape[0], *(1,) * (d.dim() - 1))
        return torch.cat([filtered, d[..., -self.channels :] * level], dim=-1)

    def correlate(self, d: Tensor, a: Tensor, count: int) -> Tensor:
        """<R(2 pi n / count) d, a> for n < count: d (..., dim) against a (..., dim), (..., count)."""
        cos, sin = table(_angle_functions, self.harmonics.degree, count, like=a)
        by_frequency = self.layout(a).by_frequency
        real = (d * a) @ by_frequency
        imaginary = (self.quarter(d) * a) @ by_frequency
        return real @ cos + imaginary @ sin

    def _growth(self, log_scale: Tensor, d: Tensor) -> Tensor:
        """By what coordinates (B, ..., dim) grow with the object: e^s, and the background's by its norm."""
        body = torch.exp(log_scale)[:, None].expand(-1, self.dim - self.channels)
        ground = self._remainder(log_scale, d) / self.layout(d).remainder
        factor = torch.cat([body, ground.expand(-1, self.channels)], dim=1)
        return factor.reshape(len(d), *(1,) * (d.dim() - 2), self.dim)

    def _remainder(self, log_scale: Tensor, like: Tensor) -> Tensor:
        """nu of functions that are e^s as wide, (B, 1)."""
        constant, pixels = self.layout(like).constant, math.prod(self.harmonics.domain.shape)
        inside = torch.exp(2 * log_scale)[:, None] * constant.square().sum()
        return (pixels - inside).clamp_min(1.0).sqrt()

    def _background(self, a: Tensor) -> Tensor:
        """Grey value of the background, (..., C), of coordinates (..., dim)."""
        return a[..., -self.channels :] / self.layout(a).remainder


def _layout(*numbers: float) -> Layout:
    """See `Layout`; the background of each channel comes last and does not turn."""
    harmonics = DiskHarmonics.of(*numbers)
    channels, dim = harmonics.channels, harmonics.dim
    frequency, partner = torch.zeros(dim, dtype=torch.float64), torch.arange(dim)
    sign, parity = torch.zeros_like(frequency), torch.ones_like(frequency)
    for block in harmonics.of_channels(1).representation.blocks:
        frequency[block.slice] = block.frequency
        if block.frequency:
            re, im = torch.arange(dim)[block.slice].reshape(-1, 2).T
            partner[re], partner[im] = im, re
            sign[re], sign[im], parity[im] = -1.0, 1.0, -1.0
    ones = torch.ones(1, 1, *harmonics.domain.shape, dtype=torch.float64)
    constant = harmonics.analyse(ones, ones.new_zeros(1, 2))[0, 0]
    constant = constant * (
        frequency == 0
    )  # the rest is the square frame, no property of a constant
    offsets = torch.arange(channels)[:, None] * dim
    frequency = F.pad(frequency.repeat(channels), (0, channels))
    return Layout(
        frequency,
        torch.cat([(partner + offsets).flatten(), torch.arange(channels) + channels * dim]),
        F.pad(sign.repeat(channels), (0, channels)),
        F.pad(parity.repeat(channels), (0, channels), value=1.0),
        F.one_hot(frequency.long()).double(),
        constant,
        (ones.sum() - constant.square().sum()).clamp_min(1.0).sqrt(),
    )


def _generator(name: str, *numbers: float) -> tuple[Tensor, ...]:
    return (generator_matrix(DiskHarmonics.of(*numbers), name),)


def _angle_functions(degree: int, count: int) -> tuple[Tensor, ...]:
    """cos(l theta_n) and sin(l theta_n), each (degree + 1, count)."""
    ell = torch.arange(degree + 1, dtype=torch.float64)[:, None]
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return cos_sin(ell * angle)


def _radial_transform(points: int, *numbers: float) -> tuple[Tensor, ...]:
    """Frequencies (points,), V by (l, part) (rows, n, points), and where each (row, n) lies, dim for none."""
    harmonics = DiskHarmonics.of(*numbers)
    frequency, values = radial_quadrature(harmonics, points)
    most = harmonics.multiplicities[0]
    rows, start = [], 0
    for ell, copies in enumerate(harmonics.multiplicities):
        for part in range(1 if ell == 0 else 2):
            step = 1 if ell == 0 else 2
            index = start + part + step * torch.arange(copies)
            rows.append(F.pad(index, (0, most - copies), value=harmonics.dim))
        start += copies * (1 if ell == 0 else 2)
    index = torch.stack(rows)
    return frequency, F.pad(values, (0, 0, 0, 1))[index], index
