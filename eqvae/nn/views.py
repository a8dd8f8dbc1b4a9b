"""Views: where an object is seen, and at which scale; the frame that a harmonic network looks and draws in.

A view of position t and log-scale s brings the plane to the object's own coordinates, u = e^-s (p - t). Under
g the position moves as a point does, and the log-scale grows by that of g.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.distributions.bounds import bounded
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.symmetry.representations import Representation

_STEPS = 6  # of the adaptive moments: what is left of a first guess is 1e-4 of it and less
_LEAST = 0.25  # pixels^2, of the variance: nothing is smaller than a pixel
_RADIUS = 3.0  # of the basis, in standard deviations of the object along an axis
_SPARE = 2.0  # how far beyond the scales that were named an object may be
_WINDOW = 2.0  # standard deviations of the object that its window is wide


@dataclass(frozen=True)
class View:
    """Where objects are seen, and at which scale.

    Attributes:
        position: t, pixels, (B, 2).
        log_scale: s, (B,); None where objects have no scale.
    """

    position: Tensor
    log_scale: Tensor | None = None

    @classmethod
    def of(cls, representation: Representation, z: Tensor) -> "View":
        """The view that latents (B, D) name."""
        parts = representation.slices
        log_scale = z[:, parts.scale.start] if representation.scale else None
        return cls(z[:, parts.position], log_scale)

    @property
    def coordinates(self) -> Tensor:
        """As they stand in a latent, (B, 2) or (B, 3)."""
        if self.log_scale is None:
            return self.position
        return torch.cat([self.position, self.log_scale[:, None]], dim=1)

    def spread(self, log_scale: Tensor) -> Tensor:
        """Log standard deviations by copy (B, num_copies), positions from the object's pixels."""
        if self.log_scale is None:
            return log_scale
        return torch.cat([log_scale[:, :1] + self.log_scale[:, None], log_scale[:, 1:]], dim=1)

    def corrected(self, shift: Tensor, growth: Tensor | None) -> "View":
        """The view of an object that is `shift` (B, 2) of its own pixels away, and e^growth (B,) as large."""
        if self.log_scale is None:
            return View(self.position + shift)
        size = self.log_scale.exp()[:, None]
        return View(self.position + size * shift, self.log_scale + growth)


class AdaptiveMoments(nn.Module):
    """Finds where objects are and how large, from a first guess of where: moments in a window that follows.

        m(p) = sum_c x_c(p)^2,    w(p) = exp(-|p - t|^2 / 2 (2 r)^2),
        t <- sum w m p / sum w m,    r^2 <- sum w m |p - t|^2 / 2 sum w m,    s = log(r / r_0)

    m is as bright wherever and however large an object is seen, so that the fixed point of these steps moves
    and grows with the object, exactly where the object lies within the image and is no finer than the pixels;
    windows keep out what lies around the object. What m holds on average beyond the inscribed disc, such as
    that of noise, is taken off first. r_0 is a third of the radius of the disc that the basis covers.

    Args:
        harmonics: the basis that objects are looked at in.

    References: Bernstein, Jarvis: Shapes and shears, stars and smears (2002),
        https://arxiv.org/abs/astro-ph/0107431, section 3.1.
    """

    def __init__(self, harmonics: DiskHarmonics):
        super().__init__()
        self.size = harmonics.radius / _RADIUS
        low, high = harmonics.scales
        self.bounds = (math.log(low / _SPARE), math.log(high * _SPARE))
        points = harmonics.domain.points()
        outside = 1 - harmonics.domain.mask().to(points)
        axes = torch.stack([points[0, :, 0], points[:, 0, 1]])
        self.register_buffer("axes", axes, persistent=False)
        self.register_buffer("outside", outside / outside.sum(), persistent=False)

    def forward(self, x: Tensor, first: View) -> View:
        """The views of images (B, C, H, H) less their ground."""
        mass = x.square().sum(dim=1)
        beyond = torch.einsum("bhw,hw->b", mass, self.outside)
        mass = (mass - beyond[:, None, None]).clamp_min(0)
        t, variance = self.step(mass, first.position, None)
        for _ in range(_STEPS):
            t, variance = self.step(mass, t, variance)
        return View(t, bounded(0.5 * torch.log(variance / self.size**2), *self.bounds))

    def clamped(self, view: View) -> Tensor:
        """Whether the size of an object lay beyond the scales of the basis, (B,)."""
        low, high = self.bounds
        return (view.log_scale <= low) | (view.log_scale >= high)

    def step(self, mass: Tensor, t: Tensor, variance: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean (B, 2) and variance by axis (B,) of masses (B, H, H) in a window about t, or without one."""
        away = self.axes - t[:, :, None]  # (B, 2, H)
        window = torch.ones_like(away)
        if variance is not None:
            window = torch.exp(-away.square() / (2 * _WINDOW**2 * variance[:, None, None]))
        powers = torch.stack([window, window * away, window * away.square()], dim=2)
        m = powers[:, 1] @ mass @ powers[:, 0].mT  # (B, powers of y, powers of x)
        total = m[:, 0, 0].clamp_min(1e-6)
        mean = torch.stack([m[:, 0, 1], m[:, 1, 0]], dim=1) / total[:, None]
        square = (m[:, 0, 2] + m[:, 2, 0]) / total - mean.square().sum(dim=1)
        return t + mean, (square / 2).clamp_min(_LEAST)
