"""Disk harmonics: a basis of images in which rotations are phases and shifts need no interpolation.

The Gauss-Laguerre functions of degree 2n + l <= N (the eigenfunctions of the 2-D harmonic oscillator)

    phi_nl(r, a) ~ (r/s)^l L_n^l(r^2/s^2) exp(-r^2 / 2s^2) {cos l a, sin l a}

are orthonormal, smooth, and concentrated on the disc of radius s sqrt(2N + 2) and, in frequency, on the
disc of radius sqrt(2N + 2) / s. Turning the image by theta turns the pair (n, l) by l theta. They span the
same space as the products h_i(x/s) h_j(y/s), i + j <= N, of Hermite functions, which are evaluated in
closed form at any position: so the basis can be centred anywhere, at the cost of two thin matrix
products, exactly.

References: Beijersbergen, Allen, van der Veen, Woerdman: Astigmatic laser mode converters and transfer
of orbital angular momentum, Optics Communications 96 (1993), eq. 9-10, for the change of basis, which is
computed by quadrature here.
"""

import math
from functools import cached_property

import numpy as np
import torch
from scipy.special import eval_genlaguerre, gammaln
from torch import Tensor, nn

from eqvae.domains.grid import pixel_coordinates


class DiskHarmonics(nn.Module):
    """Analysis and synthesis of images in Gauss-Laguerre functions about a position t.

        a_k = sum_p phi_k(p - t) x(p),        x(p) = sum_k a_k phi_k(p - t).

    Coefficients are ordered by angular frequency l, then radial order n, then (cos, sin): exactly the
    layout of `Representation` without position, with floor((N - l) / 2) + 1 copies of psi_l. A
    rotation of the image about t acts on them by rho, a mirror negates the sines.

    Args:
        image_size: side of the square image, pixels.
        degree: N; the basis has (N + 1)(N + 2) / 2 functions.
        width: s, pixels. The basis covers radii up to s sqrt(2N + 2).

    Raises:
        ValueError: if the basis reaches beyond the image or beyond the pixel grid's band limit.
    """

    def __init__(self, image_size: int, degree: int = 22, width: float = 2.3):
        super().__init__()
        self.image_size = image_size
        self.degree = degree
        self.width = width
        band = math.sqrt(2 * degree + 2) / width
        if self.reach > image_size / 2 or band > math.pi:
            raise ValueError(
                f"degree={degree} and width={width} reach {self.reach:.1f} px and {band:.2f} rad/px; an "
                f"image of {image_size} px holds {image_size / 2:g} px and {math.pi:.2f} rad/px. Lower "
                f"degree, or bring width closer to {math.sqrt(image_size / (2 * math.pi)):.2f}."
            )
        self.register_buffer("basis_change", self._hermite_to_laguerre(), persistent=False)
        axis = pixel_coordinates(image_size, image_size)
        self.register_buffer("axes", torch.stack([axis[0, :, 0], axis[:, 0, 1]]), persistent=False)

    @cached_property
    def multiplicities(self) -> tuple[int, ...]:
        """Copies of psi_l for l = 0 .. N."""
        return tuple((self.degree - ell) // 2 + 1 for ell in range(self.degree + 1))

    @property
    def reach(self) -> float:
        """Radius that the basis covers, s sqrt(2N + 2), pixels."""
        return self.width * math.sqrt(2 * self.degree + 2)

    @property
    def dim(self) -> int:
        return (self.degree + 1) * (self.degree + 2) // 2

    def analyse(self, x: Tensor, t: Tensor) -> Tensor:
        """Coefficients of images (B, C, H, H) about positions t (B, 2): (B, C, dim)."""
        across, up = self._hermite_at(t)
        products = up @ (x @ across.mT)  # (B, C, j, i)
        return products.flatten(2) @ self.basis_change

    def synthesise(self, coefficients: Tensor, t: Tensor) -> Tensor:
        """Images (B, C, H, H) from coefficients (B, C, dim) centred at t (B, 2)."""
        across, up = self._hermite_at(t)
        return up.mT @ (self._products(coefficients) @ across)

    def evaluate(self, coefficients: Tensor, t: Tensor, points: Tensor) -> Tensor:
        """The same function as `synthesise`, at any points (B, P, 2): (B, C, P)."""
        h = self._hermite((points - t[:, None]).mT)  # (B, 2, N + 1, P)
        rows = self._products(coefficients).mT @ h[:, None, 1]  # (B, C, i, P)
        return (rows * h[:, None, 0]).sum(dim=2)

    def _products(self, coefficients: Tensor) -> Tensor:
        """Coefficients of h_j(y) h_i(x), (B, C, j, i)."""
        count = self.degree + 1
        return (coefficients @ self.basis_change.T).unflatten(2, (count, count))

    def _hermite_at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Hermite functions of the columns and the rows about t, each (B, 1, N + 1, H)."""
        h = self._hermite(self.axes - t[:, :, None])
        return h[:, None, 0], h[:, None, 1]

    def _hermite(self, distance: Tensor) -> Tensor:
        """Unit-norm Hermite functions of signed distances (..., P) in pixels: (..., N + 1, P)."""
        h = hermite_functions(distance / self.width, self.degree + 1)
        return h / math.sqrt(self.width)

    def _hermite_to_laguerre(self) -> Tensor:
        """Matrix <h_i h_j, phi_k> by Gauss-Hermite quadrature (exact), ((N + 1)^2, dim), rows (j, i)."""
        nodes, weights = np.polynomial.hermite.hermgauss(self.degree + 1)
        undo = np.exp(nodes**2) * weights  # the functions carry their own Gaussian
        h = hermite_functions(torch.from_numpy(nodes), self.degree + 1).numpy()
        x, y = np.meshgrid(nodes, nodes)  # rows are y
        phi = self._laguerre(np.hypot(x, y), np.arctan2(y, x))
        matrix = np.einsum("jy,ix,y,x,yxk->jik", h, h, undo, undo, phi, optimize=True)
        return torch.from_numpy(matrix).flatten(0, 1).to(torch.get_default_dtype())

    def _laguerre(self, r: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """All phi_k at polar positions in units of s, r.shape + (dim,)."""
        columns = []
        for ell, copies in enumerate(self.multiplicities):
            for n in range(copies):
                log_norm = 0.5 * (gammaln(n + 1) - gammaln(n + ell + 1) - math.log(math.pi))
                radial = np.exp(log_norm - r**2 / 2) * r**ell * eval_genlaguerre(n, ell, r**2)
                if ell == 0:
                    columns.append(radial)
                else:
                    columns.append(math.sqrt(2) * radial * np.cos(ell * angle))
                    columns.append(math.sqrt(2) * radial * np.sin(ell * angle))
        return np.stack(columns, axis=-1)


def fitted_harmonics(image_size: int, degree: int, radius: float | None = None) -> DiskHarmonics:
    """Disk harmonics that cover a disc, with a degree that the pixel grid can hold.

    Args:
        image_size: side of the image, pixels.
        degree: N, lowered where the band would pass 3 rad/pixel.
        radius: of the disc, pixels; None for 5/8 of half the image, which leaves room for shifts.

    Raises:
        ValueError: if the radius is not positive.
    """
    if radius is not None and not radius > 0:
        raise ValueError(
            f"radius must be positive, the objects' size in pixels, or null for 5/8 of half the image; "
            f"got {radius}."
        )
    radius = 5 / 8 * image_size / 2 if radius is None else radius
    degree = max(1, min(degree, int(3.0 * radius / 2 - 1)))
    return DiskHarmonics(image_size, degree, width=radius / math.sqrt(2 * degree + 2))


def hermite_functions(u: Tensor, count: int) -> Tensor:
    """The orthonormal Hermite functions h_0 .. h_{count-1} at u (..., P): (..., count, P).

    h_{n+1} = sqrt(2 / (n + 1)) u h_n - sqrt(n / (n + 1)) h_{n-1}, stable for all n.
    """
    values = [math.pi**-0.25 * torch.exp(-0.5 * u.square())]
    for n in range(count - 1):
        step = math.sqrt(2 / (n + 1)) * u * values[-1]
        if n > 0:
            step = step - math.sqrt(n / (n + 1)) * values[-2]
        values.append(step)
    return torch.stack(values, dim=-2)
