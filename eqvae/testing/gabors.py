"""Wave packets that move exactly, at a frequency that is told: what aliases, and what does not.

A scene is a sum of Gabor functions, plane waves below Gaussian envelopes,

    x(p) = sum_k a_k exp(-|p - mu_k|^2 / 2 s^2) cos(kappa_k . (p - mu_k) + phi_k),   |kappa_k| = pi band,

and (g x)(p) = x(g^-1 p) is evaluated at the points themselves, so that no motion and no lattice needs an
interpolation. `band` is in units of the Nyquist frequency of points one pixel apart, pi rad/pixel: a step of
2 keeps what is below 0.5, a step of 3 what is below 1/3. The spectrum is a bell of width 1 / s about it.

    GaborScenes(n, band=0.6).render(g)             (n, channels, size, size), on the square pixels
    GaborScenes(n, band=0.6).evaluate(points, g)   (n, channels, P), at any points (P, 2) of the plane, pixels
"""

import math

import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import apply, inverse

_CHUNK = 2_000_000  # cosines at a time


class GaborScenes:
    """Random wave packets about the image centre, exact under every motion.

    Args:
        n: number of scenes.
        seed: of the random numbers.
        size: pixels a side of `render`.
        band: frequency of the waves, above 0, in units of the Nyquist frequency.
        waves: packets in each scene, in random directions.
        envelope: s, pixels; a twelfth of the size if None.
        channels: image channels, each with amplitudes of its own.
        dtype: of the images.

    Raises:
        ValueError: if the band or the envelope is not above 0.

    Example:
        >>> from eqvae.symmetry import motion
        >>> scenes = GaborScenes(4, band=0.6, size=33)
        >>> scenes.render(motion(angle=0.3)).shape
        torch.Size([4, 1, 33, 33])
        >>> scenes.evaluate(torch.zeros(7, 2)).shape
        torch.Size([4, 1, 7])
    """

    def __init__(
        self,
        n: int,
        seed: int = 0,
        size: int = 65,
        *,
        band: float = 0.5,
        waves: int = 8,
        envelope: float | None = None,
        channels: int = 1,
        dtype: torch.dtype | None = None,
    ):
        self.envelope = size / 12 if envelope is None else float(envelope)
        for name, value in (("band", band), ("envelope", self.envelope)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(
                    f"{name} must be a number above 0; got {value}. Try 0.5 for the band."
                )
        self.size, self.band = size, float(band)
        self.dtype = dtype or torch.get_default_dtype()
        generator = torch.Generator().manual_seed(seed)
        u = torch.rand(n, waves, 4, generator=generator, dtype=torch.float64)
        reach = max(0.0, size / 2 - 4 * self.envelope)  # of the means: the tails end at the border
        radius, place, way = reach * u[..., 0].sqrt(), *(2 * math.pi * u[..., 1:3]).unbind(-1)
        self.means = radius[..., None] * torch.stack([place.cos(), place.sin()], dim=-1)
        self.waves = math.pi * self.band * torch.stack([way.cos(), way.sin()], dim=-1)
        self.phases = 2 * math.pi * u[..., 3]
        weights = torch.rand(n, channels, waves, generator=generator, dtype=torch.float64)
        self.amplitudes = 0.5 + 0.5 * weights

    def __len__(self) -> int:
        return len(self.means)

    def evaluate(self, points: Tensor, g: Tensor | None = None) -> Tensor:
        """The scenes moved by g, at points of the plane.

        Args:
            points: positions (P, 2), pixels from the centre, x to the right, y up.
            g: one motion for all scenes (1, 4), or one for each (n, 4); none if None.

        Returns:
            Values (n, channels, P).
        """
        points = points.double()[None]
        if g is not None:
            back = inverse(g.double())
            points = apply(back, points.expand(len(back), -1, -1))
        step = max(1, _CHUNK // self.means[..., 0].numel())
        parts = [self._at(part) for part in points.split(step, dim=1)]
        return torch.cat(parts, dim=-1).to(self.dtype)

    def _at(self, points: Tensor) -> Tensor:
        offset = points[:, None] - self.means[:, :, None]  # (n, waves, points, 2)
        cycles = torch.einsum("nkpi,nki->nkp", offset, self.waves) + self.phases[..., None]
        bells = (-offset.square().sum(-1) / (2 * self.envelope**2)).exp()
        return torch.einsum("nck,nkp->ncp", self.amplitudes, bells * cycles.cos())

    def render(self, g: Tensor | None = None, size: int | None = None) -> Tensor:
        """The scenes moved by g on square pixels, (n, channels, size, size).

        Args:
            g: as of `evaluate`.
            size: pixels a side of a larger or smaller window about the same centre.
        """
        size = size or self.size
        points = pixel_coordinates(size, size, dtype=torch.float64).reshape(-1, 2)
        return self.evaluate(points, g).unflatten(-1, (size, size))
