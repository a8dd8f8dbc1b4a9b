"""Scenes that move exactly: nothing of the error that a test finds belongs to the test.

A scene is a mixture of anisotropic Gaussians, so that its motion needs no interpolation:

    x(p) = sum_k a_k exp(-(p - mu_k)^T S_k^-1 (p - mu_k) / 2),
    (g x)(p) has means g mu_k and covariances A S_k A^T,  A = e^log_scale R(angle) F^reflection.

Whatever error is left belongs to the part under test, none of it to the test.
"""

import math

import torch
from torch import Tensor

from eqvae.domains.domain import Domain
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import apply, linear_part, motion


class GaussianScenes:
    """Random smooth objects about the image centre, exact under every motion.

    Each object is a cloud of elongated blobs with its centre of mass at the origin and peak 1. It
    stays within the central 55 % of the image down to 1 % of its peak, so that small shifts don't
    touch the border.

    Args:
        n: number of scenes.
        seed: of the random numbers.
        size: pixels a side.
        blobs: Gaussians in each scene.
        width: standard deviation of the thinnest blob, pixels; below 1 the pixel grid aliases.
        channels: image channels, each with amplitudes of its own.
        dtype: of the images.
        domain: where images of `size` live, if not on the square grid.

    Example:
        >>> scenes = GaussianScenes(4, seed=0, size=50)
        >>> scenes.render(motion(angle=0.3, shift=(2.5, 0.0))).shape
        torch.Size([4, 1, 50, 50])
    """

    def __init__(
        self,
        n: int,
        seed: int = 0,
        size: int = 50,
        *,
        blobs: int = 6,
        width: float = 1.5,
        channels: int = 1,
        dtype: torch.dtype | None = None,
        domain: Domain | None = None,
    ):
        self.size, self.domain = size, domain
        self.dtype = dtype or torch.get_default_dtype()
        generator = torch.Generator().manual_seed(seed)
        u = torch.rand(n, blobs, 5, generator=generator, dtype=torch.float64)
        reach = max(0.5, 0.55 * size / 2 - 4.5 * width)  # of the means; the rest is tails
        radius, phase = reach * u[..., 0].sqrt(), 2 * math.pi * u[..., 1]
        means = torch.stack([radius * phase.cos(), radius * phase.sin()], dim=-1)
        thin, long = width * (1 + 0.2 * u[..., 2]), width * (1.2 + 0.6 * u[..., 3])
        cos, sin = (math.pi * u[..., 4]).cos(), (math.pi * u[..., 4]).sin()
        axes = torch.stack([cos, -sin, sin, cos], dim=-1).unflatten(-1, (2, 2))
        self.covariances = axes @ torch.diag_embed(torch.stack([long, thin], -1) ** 2) @ axes.mT
        weights = torch.rand(n, channels, blobs, generator=generator, dtype=torch.float64)
        self.amplitudes = 0.3 + 0.7 * weights
        mass = self.amplitudes.sum(1) * (long * thin)
        self.means = means - ((mass[..., None] * means).sum(1) / mass.sum(1)[:, None])[:, None]
        peak = self._render(motion(dtype=torch.float64).expand(n, 4)).amax(dim=(1, 2, 3))
        self.amplitudes = self.amplitudes / peak[:, None, None]

    def __len__(self) -> int:
        return len(self.means)

    def render(self, g: Tensor | None = None, size: int | None = None) -> Tensor:
        """The scenes moved by g.

        Args:
            g: one motion for all scenes (1, 4), or one for each (n, 4), or five columns where they scale;
                none if None. A blob that shrinks below a pixel aliases.
            size: pixels a side of a larger or smaller window about the same centre.

        Returns:
            Images (n, channels, size, size) in [0, about 1].
        """
        g = motion(dtype=torch.float64) if g is None else g.double()
        return self._render(g.expand(len(self), -1), size).to(self.dtype)

    def _render(self, g: Tensor, size: int | None = None) -> Tensor:
        size = size or self.size
        matrix = linear_part(g)[:, None]
        precision = torch.linalg.inv(matrix @ self.covariances @ matrix.mT)
        if self.domain is None or size != self.size:
            points = pixel_coordinates(size, size, dtype=torch.float64)
        else:
            points = self.domain.points(dtype=torch.float64)
        points = points.reshape(1, 1, -1, 2)
        offset = points - apply(g, self.means)[:, :, None]  # (n, blobs, pixels, 2)
        exponent = torch.einsum("nkpi,nkij,nkpj->nkp", offset, precision, offset)
        images = torch.einsum("nck,nkp->ncp", self.amplitudes, (-exponent / 2).exp())
        return images.unflatten(-1, (size, size))
