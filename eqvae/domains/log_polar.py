"""The log-polar grid: rings whose radii grow by one factor, so that scaling is a translation.

    samples at radius r_k = r_0 e^(k h) and angle 2 pi j / n:    (u, a) = (log r, angle)
    (g x)(u, a) = x(u - s, +-(a - angle)),      g = e^s R(angle) F^reflection

A rotation moves signals along the angle, where they are periodic, and a scaling moves them along u, where
they are not: rows that come from inside the innermost ring, or from outside the outermost, are of the ground.
Steps that are whole numbers of samples are exact on the rows that come from inside; everything between is
interpolated, along the angle by Fourier series. Nothing here is unchanged by shifts: bring objects to the
centre first, as `of_square` does with positions that somebody knows. Near the centre samples are closer than
pixels, far from it they are not, see `polar_sampling`.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates
from eqvae.domains.ground import GroundedDomain, checked_ground, ground_like
from eqvae.domains.polar_sampling import KERNELS, between_rings, sampled_at
from eqvae.symmetry.centred import CentredSimilarities
from eqvae.symmetry.motions import angle_of, log_scale_of, reflection_of, shift_of

_EXACT = 1e-6  # samples, and pixels of a shift: closer to a whole number than this is that number


@dataclass(frozen=True)
class LogPolarGrid(GroundedDomain):
    """Rings of samples about the centre; signals are (B, C, radii, angles), the innermost ring first.

    Args:
        radii: number of rings.
        angles: samples on each of them.
        inner: radius of the innermost, pixels.
        outer: radius of the outermost, pixels.
        ground: grey beyond the window, of all channels or of each; none for 0.

    Raises:
        ValueError: if there are fewer than two rings or four angles, the radii do not grow from above 0, or
            the ground is no finite numbers.

    Example:
        >>> grid = LogPolarGrid.covering(48)
        >>> grid.shape, round(grid.outer, 1)
        ((38, 64), 23.5)
        >>> grid.of_square(torch.rand(2, 1, 48, 48)).shape
        torch.Size([2, 1, 38, 64])
    """

    radii: int
    angles: int
    inner: float
    outer: float
    ground: Sequence[float] = ()
    called: ClassVar[str] = "signal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ground", checked_ground(self.ground))
        for name, least in (("radii", 2), ("angles", 4)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number, >= {least}; got {value!r}.")
        if not (0 < self.inner < self.outer < math.inf):
            raise ValueError(
                f"inner and outer must be radii in pixels with 0 < inner < outer, since the logarithm has no "
                f"centre; got {self.inner} and {self.outer}. Try inner=0.5."
            )

    @classmethod
    def covering(
        cls, size: int, angles: int = 64, inner: float = 0.625, outer: float | None = None
    ) -> "LogPolarGrid":
        """The grid of square images of `size` pixels, its samples as far apart along u as along the angle.

        Args:
            size: side of the images, pixels.
            angles: samples on a ring; 2 pi r / angles is how far apart they are, so that pi `size` of them
                lose nothing.
            inner: radius of the innermost ring, pixels.
            outer: of the outermost, about; None for the middles of the outer pixels.
        """
        outer = (size - 1) / 2 if outer is None else outer
        if not 0 < inner < outer:
            raise ValueError(
                f"inner must lie between 0 and the outer radius, {outer:g} px; got {inner}. Try inner=0.5."
            )
        steps = max(1, round(math.log(outer / inner) * angles / (2 * math.pi)))
        return cls(steps + 1, angles, inner, outer)

    @property
    def group(self) -> CentredSimilarities:
        return CentredSimilarities()

    @property
    def shape(self) -> tuple[int, int]:
        return (self.radii, self.angles)

    @property
    def step(self) -> float:
        """h, by which log r grows from ring to ring: scaling by e^h is one step."""
        return math.log(self.outer / self.inner) / (self.radii - 1)

    @property
    def turn(self) -> float:
        """The angle of one step along a ring, radians."""
        return 2 * math.pi / self.angles

    def radius(self, *, dtype: torch.dtype | None = None) -> Tensor:
        """Radii of the rings, pixels, (radii,)."""
        dtype = dtype or torch.get_default_dtype()
        return self.inner * torch.exp(torch.arange(self.radii, dtype=dtype) * self.step)

    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        r = self.radius(dtype=dtype)[:, None]
        a = torch.arange(self.angles, dtype=r.dtype) * self.turn
        return torch.stack([r * a.cos(), r * a.sin()], dim=-1)

    def mask(self, radius: float | None = None) -> Tensor:
        r = self.radius()
        return (r <= (math.inf if radius is None else radius)).float()[:, None].expand(self.shape)

    def untouched(self, factor: float) -> Tensor:
        """1 on the rows that come from inside whatever is scaled by up to a factor, up or down, else 0.

        Args:
            factor: such as 1.6: scales between 1 / 1.6 and 1.6.

        Returns:
            The margin's complement, (radii, angles).

        Raises:
            ValueError: if no row is left.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor must be a scale above 0, such as 1.6; got {factor}.")
        margin = math.ceil(abs(math.log(factor)) / self.step - _EXACT)
        if 2 * margin >= self.radii:
            largest = math.sqrt(self.outer / self.inner)
            raise ValueError(
                f"factor must leave a row of the window from {self.inner:g} to {self.outer:g} px, so stay "
                f"below {largest:.3g}; got {factor:g}. Take a smaller inner radius or a larger image."
            )
        row = torch.arange(self.radii)
        kept = (row >= margin) & (row < self.radii - margin)
        return kept.float()[:, None].expand(self.shape)

    def overlap(self, g: Tensor) -> Tensor:
        """1 where a moved signal comes from inside the window, else 0, (B, radii, 1)."""
        from_row = torch.arange(self.radii).to(g) - (log_scale_of(g) / self.step)[:, None]
        inside = (from_row >= -_EXACT) & (from_row <= self.radii - 1 + _EXACT)
        return inside.to(g.dtype)[:, :, None]

    def check(self, x: Tensor) -> None:
        if tuple(x.shape[-2:]) != self.shape:
            raise ValueError(
                f"x must be signals of {self.radii} rings of {self.angles}; got "
                f"{x.shape[-2]}x{x.shape[-1]}. Use of_square, or the grid they came from."
            )

    @property
    def interpolations(self) -> Collection[str]:
        return KERNELS

    def moved(self, g: Tensor, x: Tensor, interpolation: str) -> Tensor:
        """Signals moved on black.

        Args:
            g: motions without shift [reflection, angle, 0, 0, log-scale], (B, 5), or (B, 4) at scale 1.
            x: signals, (B, C, radii, angles).
            interpolation: along u, "bicubic" for Keys' cubic, or "fourier", exact for signals that are
                band-limited and of the ground at both ends; unused where g moves by whole steps.

        Raises:
            ValueError: if g shifts.
        """
        if bool((shift_of(g).abs() > _EXACT).any()):
            raise ValueError(
                f"g must not shift: log-polar samples have a centre of their own; got a shift of "
                f"{shift_of(g).norm(dim=1).max():.3g} px. Resample about the moved centre: "
                "grid.of_square(image, centre)."
            )
        g, mirror = g.to(x), reflection_of(g).to(x.device) > 0.5
        x = torch.where(mirror[:, None, None, None], x.flip(-1).roll(1, dims=-1), x)
        steps = torch.stack([log_scale_of(g) / self.step, angle_of(g) / self.turn], dim=1)
        whole = ((steps - steps.round()).abs() < _EXACT).all(dim=1)
        if whole.all():
            return _rolled(x, steps)
        moved = _interpolated(x, steps, interpolation)
        moved[whole] = _rolled(x[whole], steps[whole])
        return moved

    def of_square(
        self, x: Tensor, centre: Tensor | None = None, interpolation: str = "bicubic"
    ) -> Tensor:
        """Square images sampled about their centres, blurred where samples are farther apart than pixels.

        Args:
            x: images, (B, C, H, H).
            centre: positions, pixels, (B, 2), of a localiser for instance; None for the images' own centres.
            interpolation: "bicubic" or "fourier" (exact for images below pi / w rad/pixel where samples are w
                >= 1 pixels apart).

        Returns:
            Signals (B, C, radii, angles), of the ground where they are outside of the image.
        """
        points = self.points(dtype=x.dtype).to(x.device).flatten(0, 1)
        width = self.spacing(dtype=x.dtype).to(x.device)[:, None].expand(self.shape).flatten()
        at = points.expand(len(x), -1, -1) if centre is None else points + centre.to(x)[:, None]
        ground = ground_like(self.ground, x)
        found = sampled_at(x - ground, at, width.clamp(min=1), interpolation) + ground
        return found.unflatten(2, self.shape)

    def to_square(self, y: Tensor, size: int, centre: Tensor | None = None) -> Tensor:
        """Square images of signals: cubic between the samples, the mean of the innermost ring inside of it.

        Where rings are closer than pixels nothing is averaged: what was shrunk below a pixel aliases there.

        Args:
            y: signals, (B, C, radii, angles).
            size: side of the images, pixels.
            centre: where their centres come to lie, pixels, (B, 2); None for the images' centres.

        Returns:
            Images (B, C, size, size), of the ground beyond the outermost ring.
        """
        if any(self.ground):
            ground = ground_like(self.ground, y)
            return self.black.to_square(y - ground, size, centre) + ground
        at = pixel_coordinates(size, size, dtype=y.dtype).to(y.device).flatten(0, 1)
        at = at.expand(len(y), -1, -1) if centre is None else at - centre.to(y)[:, None]
        r = at.norm(dim=-1)
        row = (r / self.inner).clamp(min=1).log() / self.step  # (B, size^2)
        column = torch.atan2(at[..., 1], at[..., 0]) / self.turn
        seen = between_rings(y, row, column)
        hole, beyond = r < self.inner * (1 - _EXACT), r > self.outer * (1 + _EXACT)
        seen = torch.where(hole[:, None], y[..., 0, :].mean(dim=-1, keepdim=True), seen)
        return torch.where(beyond[:, None], 0, seen).unflatten(2, (size, size))

    def spacing(self, *, dtype: torch.dtype | None = None) -> Tensor:
        """How far apart samples are on either axis, the larger of both, pixels, (radii,)."""
        return self.radius(dtype=dtype) * max(self.step, self.turn)


def _rolled(x: Tensor, steps: Tensor) -> Tensor:
    """Signals moved by whole steps (B, 2) of log r and angle: samples are permuted, 0 comes in."""
    radii, angles = x.shape[-2:]
    steps = steps.round().long()
    row = torch.arange(radii, device=x.device) - steps[:, :1]
    column = (torch.arange(angles, device=x.device) - steps[:, 1:]) % angles
    inside = ((row >= 0) & (row < radii))[:, None, :, None]
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    moved = x.movedim(1, -1)[batch, row.clamp(0, radii - 1)[:, :, None], column[:, None]]
    return moved.movedim(-1, 1) * inside


def _interpolated(x: Tensor, steps: Tensor, interpolation: str) -> Tensor:
    """Signals moved by any steps (B, 2) of log r and angle; 0 comes in."""
    radii, angles = x.shape[-2:]
    frequency = 2 * math.pi * torch.fft.rfftfreq(angles, dtype=x.dtype, device=x.device)
    phase = -frequency * steps[:, 1:]
    turned = torch.fft.rfft(x) * torch.polar(torch.ones_like(phase), phase)[:, None, None]
    row = torch.arange(radii, dtype=x.dtype, device=x.device)
    away = row[:, None] - steps[:, 0, None, None] - row
    return KERNELS[interpolation](away)[:, None] @ torch.fft.irfft(turned, n=angles)
