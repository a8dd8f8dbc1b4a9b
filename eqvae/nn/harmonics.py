"""Disk harmonics: a basis of images in which rotations are phases and shifts need no interpolation.

The Gauss-Laguerre functions of degree 2n + l <= N (the eigenfunctions of the 2-D harmonic oscillator)

    phi_nl(r, a) ~ (r/s)^l L_n^l(r^2/s^2) exp(-r^2 / 2s^2) {cos l a, sin l a}

are orthonormal, smooth, and concentrated on the disc of radius s sqrt(2N + 2) and, in frequency, on the
disc of radius sqrt(2N + 2) / s. Turning the image by theta turns the pair (n, l) by l theta. They span the
same space as the products h_i(x/s) h_j(y/s), i + j <= N, of Hermite functions, which are evaluated in
closed form at any position: so the basis can be centred anywhere, and stretched to any scale, at the cost of
two thin matrix products, exactly. A hexagonal lattice is every other point of a rectangular one, with columns
half a step apart, and so costs three times as much. There phi_k are sqrt(A) of these, with A the area that a
sample stands for: orthonormal in sums over samples.

References: Beijersbergen, Allen, van der Veen, Woerdman: Astigmatic laser mode converters and transfer
of orbital angular momentum, Optics Communications 96 (1993), eq. 9-10, for the change of basis, which is
computed by quadrature here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from scipy.special import eval_genlaguerre, gammaln
from torch import Tensor

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.nn.bell import bell
from eqvae.nn.tables import table
from eqvae.symmetry.representations import Representation
from eqvae.symmetry.similarities import check_scales

_BAND = 3.0  # rad/pixel that a basis may reach, a little below the pixel grid's pi


@dataclass(frozen=True)
class DiskHarmonics:
    """Analysis and synthesis of images in Gauss-Laguerre functions about a position t.

        a_k = sum_p phi_k(p - t) x(p),        x(p) = sum_k a_k phi_k(p - t).

    With a log-scale s the functions are stretched, so that scaling an image leaves its coefficients alone:

        a_k = e^-2s sum_p phi_k(e^-s (p - t)) x(p),        x(p) = sum_k a_k phi_k(e^-s (p - t)).

    Coefficients are ordered by angular frequency l, then radial order n, then (cos, sin): exactly the
    layout of `Representation` without position, with floor((N - l) / 2) + 1 copies of psi_l. A
    rotation of the image about t acts on them by rho, a mirror negates the sines.

    A small value, as a symmetry is: build it once and hand it to every part that speaks of it. The degree
    is lowered where the basis would pass 3 rad/pixel (3/pi of the domain's band).

    Functions that are shrunk pass the pixel grid's band limit sooner: images can be drawn in them, but not
    read. `reading` has the degree that the smallest scale leaves.

    Args:
        domain: of the images.
        channels: of the images.
        degree: N; the basis has (N + 1)(N + 2) / 2 functions.
        radius: of the disc around the object that they cover, s sqrt(2N + 2), pixels; None for 5/8 of half
            the image (of `domain.radius`) at the largest scale, which leaves room for shifts.
        scales: smallest and largest scale that objects have, 1 among them.

    Attributes:
        asked_degree: the degree before it was lowered.

    Raises:
        ValueError: if the radius is not positive, the scales are no range around 1, or the basis reaches
            beyond the image or beyond the pixel grid's band limit.

    Example:
        >>> harmonics = DiskHarmonics(SquareGrid(50), channels=3, degree=30)
        >>> (
        ...     harmonics.degree,
        ...     harmonics.dim,
        ...     str(DiskHarmonics(SquareGrid(50), degree=3).representation),
        ... )
        (22, 276, '2x0 + 2x1 + 1x2 + 1x3')
    """

    domain: SquareGrid | HexagonalGrid
    channels: int = 1
    degree: int = 22
    radius: float | None = None
    scales: Sequence[float] = (1.0, 1.0)
    asked_degree: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        half, band, radius = self.domain.radius, self.domain.band, self.radius
        if radius is not None and not radius > 0:
            raise ValueError(
                f"radius must be positive, the objects' size in pixels, or null for 5/8 of half the image; "
                f"got {radius}."
            )
        object.__setattr__(self, "scales", check_scales(self.scales))
        largest, most = self.scales[1], _BAND * band / math.pi
        radius = 5 / 8 * half / largest if radius is None else radius
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "asked_degree", self.degree)
        object.__setattr__(self, "degree", max(1, min(self.degree, int(most * radius / 2 - 1))))
        reached = (2 * self.degree + 2) / radius
        if radius <= half < radius * largest:
            raise ValueError(
                f"scales must leave objects in the image: at the largest, {largest:g}, a radius of "
                f"{radius:g} px becomes {radius * largest:.1f} px, and an image of {2 * half:g} px holds "
                f"{half:g} px. Pad the images, or choose scales up to {half / radius:.2f}."
            )
        if radius > half or reached > band:
            raise ValueError(
                f"radius={radius:g} and degree={self.degree} reach {radius:.1f} px and {reached:.2f} rad/px; "
                f"an image of {2 * half:g} px holds {half:g} px and {band:.2f} rad/px. Choose a radius "
                f"from {4 / band:.1f} to {half:g}."
            )

    @property
    def width(self) -> float:
        """s, pixels."""
        return self.radius / math.sqrt(2 * self.degree + 2)

    @property
    def dim(self) -> int:
        """Number of functions, for one channel."""
        return (self.degree + 1) * (self.degree + 2) // 2

    @cached_property
    def multiplicities(self) -> tuple[int, ...]:
        """Copies of psi_l for l = 0 .. N, for one channel."""
        return multiplicities(self.degree)

    @cached_property
    def representation(self) -> Representation:
        """Of the coefficients of all channels together, see `by_irrep`."""
        copies = tuple(self.channels * n for n in self.multiplicities)
        return Representation(copies, position=False)

    @property
    def numbers(self) -> tuple[float, ...]:
        """What tells it from others: side of the images, channels, degree, radius; on a lattice its
        spacing.
        """
        lattice = (self.domain.spacing,) if isinstance(self.domain, HexagonalGrid) else ()
        return self.domain.size, self.channels, self.degree, self.radius, *lattice

    @classmethod
    def of(
        cls, size: int, channels: int, degree: int, radius: float, spacing: float | None = None
    ) -> "DiskHarmonics":
        """The basis that has these `numbers`."""
        domain = SquareGrid(size) if spacing is None else HexagonalGrid(size, spacing=spacing)
        return cls(domain, channels, degree, radius)

    def coarser(self, degree: int) -> "DiskHarmonics":
        """The same disc in functions of a degree that is at most this one."""
        return replace(self, degree=min(degree, self.degree))

    @property
    def reading(self) -> "DiskHarmonics":
        """The same disc in as many functions as images of the smallest scale can be read in."""
        most = _BAND * self.domain.band / math.pi
        degree = max(1, int(most * self.radius * self.scales[0] / 2 - 1))
        return self if degree >= self.degree else self.coarser(degree)

    def of_channels(self, channels: int) -> "DiskHarmonics":
        """The same functions for images of another number of channels."""
        return replace(self, channels=channels)

    def analyse(self, x: Tensor, t: Tensor, log_scale: Tensor | None = None) -> Tensor:
        """Coefficients of images (B, C, H, H) about positions t (B, 2), at log-scales (B,): (B, C, dim)."""
        across, up = self._hermite_at(t, log_scale)
        products = up @ (self._in_columns(x) @ across.mT)  # (B, C, j, i)
        if log_scale is not None:
            products = products * torch.exp(-2 * log_scale)[:, None, None, None]
        return products.flatten(2) @ self.basis_change(like=x)

    def synthesise(
        self, coefficients: Tensor, t: Tensor, log_scale: Tensor | None = None
    ) -> Tensor:
        """Images (B, C, H, H) from coefficients (B, C, dim) centred at t (B, 2), at log-scales (B,)."""
        across, up = self._hermite_at(t, log_scale)
        return self._from_columns(up.mT @ (self._products(coefficients) @ across))

    def evaluate(
        self, coefficients: Tensor, t: Tensor, points: Tensor, log_scale: Tensor | None = None
    ) -> Tensor:
        """The same function as `synthesise`, at any points (B, P, 2): (B, C, P)."""
        away = shrunk((points - t[:, None]).mT, log_scale)
        h = self._hermite(away)  # (B, 2, N + 1, P)
        rows = self._products(coefficients).mT @ h[:, None, 1]  # (B, C, i, P)
        return (rows * h[:, None, 0]).sum(dim=2)

    def by_irrep(self, coefficients: Tensor) -> Tensor:
        """Coefficients (B, C, dim) in the layout of `representation`, (B, C dim)."""
        return coefficients.flatten(1)[:, self.order(like=coefficients)[0]]

    def by_channel(self, h: Tensor) -> Tensor:
        """Coefficients (B, C, dim) from the layout of `representation`, (B, C dim)."""
        return h[:, self.order(like=h)[1]].unflatten(1, (self.channels, -1))

    def basis_change(self, like: Tensor) -> Tensor:
        """<h_i h_j, phi_k>, from products of Hermite functions, ((N + 1)^2, dim), rows (j, i)."""
        return table(_hermite_to_laguerre, self.degree, like=like)[0]

    def order(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where each coordinate of `representation` lies in coefficients (C, dim) flattened, and back."""
        return table(_channel_order, self.degree, self.channels, like=like)

    def _products(self, coefficients: Tensor) -> Tensor:
        """Coefficients of h_j(y) h_i(x), (B, C, j, i)."""
        count = self.degree + 1
        change = self.basis_change(like=coefficients)
        return (coefficients @ change.T).unflatten(2, (count, count))

    def _hermite_at(self, t: Tensor, log_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hermite functions of the columns and the rows about t, each (B, 1, N + 1, H)."""
        if self._on_lattice:
            size, spacing = self.domain.size, self.domain.spacing
            columns, rows = table(_lattice_axes, size, spacing, like=t)
            across = shrunk((columns - t[:, :1])[:, None], log_scale)
            up = shrunk((rows - t[:, 1:])[:, None], log_scale)
            return self._hermite(across), self._hermite(up)
        (axes,) = table(_axes, self.domain.size, like=t)
        h = self._hermite(shrunk(axes - t[:, :, None], log_scale))
        return h[:, None, 0], h[:, None, 1]

    def _hermite(self, distance: Tensor) -> Tensor:
        """Unit-norm Hermite functions of signed distances (..., P) in pixels: (..., N + 1, P)."""
        h = hermite_functions(distance / self.width, self.degree + 1)
        return h / math.sqrt(self.width / math.sqrt(self.domain.area))

    @property
    def _on_lattice(self) -> bool:
        return isinstance(self.domain, HexagonalGrid)

    def _in_columns(self, x: Tensor) -> Tensor:
        """Images with their samples in the columns that `_hermite_at` knows."""
        if not self._on_lattice:
            return x
        size = self.domain.size
        wide = x.new_zeros(*x.shape[:2], size * (3 * size - 2))
        (index,) = table(_columns, size, like=x)
        return wide.index_copy(2, index, x.flatten(2)).unflatten(2, (size, -1))

    def _from_columns(self, wide: Tensor) -> Tensor:
        if not self._on_lattice:
            return wide
        (index,) = table(_columns, self.domain.size, like=wide)
        return wide.flatten(2).index_select(2, index).unflatten(2, self.domain.shape)


def shrunk(distance: Tensor, log_scale: Tensor | None) -> Tensor:
    """Distances (B, 2, P) in the pixels of objects that are e^s times as large, s (B,); None for s = 0."""
    return distance if log_scale is None else distance * torch.exp(-log_scale)[:, None, None]


def multiplicities(degree: int) -> tuple[int, ...]:
    """Copies of psi_l for l = 0 .. N among functions of degree 2n + l <= N."""
    return tuple((degree - ell) // 2 + 1 for ell in range(degree + 1))


def _axes(size: int) -> tuple[Tensor]:
    """x of the columns and y of the rows, (2, H)."""
    points = SquareGrid(size).points(dtype=torch.float64)
    return (torch.stack([points[0, :, 0], points[:, 0, 1]]),)


def _lattice_axes(size: int, spacing: float) -> tuple[Tensor, Tensor]:
    """x of the columns half a step apart that hold all points of a lattice, and y of its rows."""
    points = HexagonalGrid(size, spacing=spacing).points(dtype=torch.float64)
    first = points[0, 0, 0]
    return first + spacing / 2 * torch.arange(3 * size - 2), points[:, 0, 1].contiguous()


def _columns(size: int) -> tuple[Tensor]:
    """Where the points of a lattice lie in rows of those columns, flat: row i begins i half steps on."""
    i, j = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((i * (3 * size - 2) + i + 2 * j).flatten(),)


def _channel_order(degree: int, channels: int) -> tuple[Tensor, Tensor]:
    """See `DiskHarmonics.order`."""
    single = Representation(multiplicities(degree), position=False)
    index = torch.arange(channels * single.dim).unflatten(0, (channels, single.dim))
    order = torch.cat([index[:, block.slice].reshape(-1) for block in single.blocks])
    return order, order.argsort()


def _hermite_to_laguerre(degree: int) -> tuple[Tensor]:
    """See `DiskHarmonics.basis_change`: by Gauss-Hermite quadrature, which is exact."""
    nodes, weights = np.polynomial.hermite.hermgauss(degree + 1)
    undo = np.exp(nodes**2) * weights  # the functions carry their own Gaussian
    h = hermite_functions(torch.from_numpy(nodes), degree + 1).numpy()
    x, y = np.meshgrid(nodes, nodes)  # rows are y
    phi = _laguerre(degree, np.hypot(x, y), np.arctan2(y, x))
    matrix = np.einsum("jy,ix,y,x,yxk->jik", h, h, undo, undo, phi, optimize=True)
    return (torch.from_numpy(matrix).flatten(0, 1),)


def _laguerre(degree: int, r: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """All phi_k at polar positions in units of s, r.shape + (dim,)."""
    columns = []
    for ell, copies in enumerate(multiplicities(degree)):
        for n in range(copies):
            log_norm = 0.5 * (gammaln(n + 1) - gammaln(n + ell + 1) - math.log(math.pi))
            radial = np.exp(log_norm - r**2 / 2) * r**ell * eval_genlaguerre(n, ell, r**2)
            if ell == 0:
                columns.append(radial)
            else:
                columns.append(math.sqrt(2) * radial * np.cos(ell * angle))
                columns.append(math.sqrt(2) * radial * np.sin(ell * angle))
    return np.stack(columns, axis=-1)


def hermite_functions(u: Tensor, count: int) -> Tensor:
    """The orthonormal Hermite functions h_0 .. h_{count-1} at u (..., P): (..., count, P).

    h_{n+1} = sqrt(2 / (n + 1)) u h_n - sqrt(n / (n + 1)) h_{n-1}, stable for all n.
    """
    values = [
        math.pi**-0.25 * bell(u)
    ]  # where it is 0, all functions of degree below 30 are below 1e-17
    for n in range(count - 1):
        step = math.sqrt(2 / (n + 1)) * u * values[-1]
        if n > 0:
            step = step - math.sqrt(n / (n + 1)) * values[-2]
        values.append(step)
    return torch.stack(values, dim=-2)
