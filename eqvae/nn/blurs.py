"""Gaussian blurs of images on a coarser grid about the same centre: what a localiser looks for objects in.

On square pixels exp(-|p|^2 / 2 s^2) is a product of rows and columns. On a hexagonal lattice its sampled
values are a convolution of the array that turns by 60 degrees map to itself, done as a product of Fourier
series.
"""

import math

import torch
from torch import Tensor, nn

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.nn.bell import bell
from eqvae.nn.sizes import coarser

_FARTHEST = 4.0  # standard deviations that a blur on a lattice reaches


class SquareBlurs(nn.Module):
    """Blurs of square images at every other place of their grid.

    Args:
        domain: of the images.
        scales: standard deviations, pixels.

    Attributes:
        points: where they are, (H', H', 2).
    """

    def __init__(self, domain: SquareGrid, scales: tuple[float, ...]):
        super().__init__()
        axis = domain.points()[0, :, 0]
        coarse = SquareGrid(coarser(domain.size)).points() * 2
        # Rows sum to 1 away from the border; the coarse grid is centred, so quarter turns stay exact.
        blurs = [bell((coarse[0, :, None, 0] - axis) / s) / (s * 2.5066282746) for s in scales]
        self.register_buffer("points", coarse, persistent=False)
        self.register_buffer("blurs", torch.stack(blurs), persistent=False)  # (S, H', H)

    def forward(self, x: Tensor) -> Tensor:
        """Blurred images (B, C, S, H', H') of images (B, C, H, H)."""
        across = nn.functional.linear(x, self.blurs.flatten(0, 1))
        across = across.unflatten(3, (len(self.blurs), -1))
        return torch.einsum("skh,bchsw->bcskw", self.blurs, across)


class LatticeBlurs(nn.Module):
    """Blurs of images on a hexagonal lattice at every other point of it: sixths of a turn stay exact.

    Args, attributes: as of `SquareBlurs`.
    """

    def __init__(self, domain: HexagonalGrid, scales: tuple[float, ...]):
        super().__init__()
        size, middle = domain.size, (domain.size - 1) // 2
        self.size, self.first = size, middle % 2
        points = domain.points()
        step = math.sqrt(3) / 2 * domain.spacing  # rows are nearest to each other
        reach = min(size - 1, math.ceil(_FARTHEST * max(scales) / step))
        self.width = size + reach  # what wraps around a canvas so wide comes from beyond the blur
        kernel = HexagonalGrid(2 * reach + 1, spacing=domain.spacing)
        distance = kernel.points(dtype=torch.float64).norm(dim=-1)
        bells = torch.stack([bell(distance / s) for s in scales]) * kernel.hexagon()
        bells = bells / bells.sum(dim=(1, 2), keepdim=True)
        canvas = torch.zeros(len(scales), self.width, self.width, dtype=torch.float64)
        places = torch.arange(-reach, reach + 1) % self.width
        canvas[:, places[:, None], places] = bells
        # the spectrum of what is the same at p and -p is real
        spectrum = torch.fft.rfft2(canvas).real.to(points)
        self.register_buffer("points", points[self.first :: 2, self.first :: 2], persistent=False)
        self.register_buffer("spectrum", spectrum, persistent=False)
        self.register_buffer("inside", frame_of(domain).to(points), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Blurred images (B, C, S, H', H') of images (B, C, H, H)."""
        canvas = (self.width, self.width)
        spectrum = torch.fft.rfft2(x * self.inside, s=canvas)[:, :, None] * self.spectrum
        blurred = torch.fft.irfft2(spectrum, s=canvas)[..., : self.size, : self.size] * self.inside
        return blurred[..., self.first :: 2, self.first :: 2]


def frame_of(domain: SquareGrid | HexagonalGrid) -> Tensor:
    """1 where turns of the domain's own group keep its points: everywhere, or on the hexagon, (H, H)."""
    return domain.hexagon() if isinstance(domain, HexagonalGrid) else torch.ones(domain.shape)


def blurs_on(domain: SquareGrid | HexagonalGrid, scales: tuple[float, ...]) -> nn.Module:
    """The blurs of a domain."""
    kind = LatticeBlurs if isinstance(domain, HexagonalGrid) else SquareBlurs
    return kind(domain, scales)
