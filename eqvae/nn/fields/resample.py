"""Change of resolution that commutes with quarter turns, and nearly with every motion.

Both grids share their centre, and the filter is an isotropic Gaussian of the distance between their
points: any two sizes fit, odd or even. What lies outside is zero.
"""

import math

import torch
from torch import Tensor, nn

from eqvae.nn.bell import bell


class GaussianResample(nn.Module):
    """y(q) = sum_p G(q - p) x(p), as one matrix for each axis.

    Args:
        in_size, out_size: sides of the grids.
        step: distance of the points of the output grid, in pixels of the input grid.
        sigma: standard deviation of G, in pixels of the input grid. Low-pass before a step of 2:
            1.0 keeps more detail, 1.5 to 2.0 more equivariance.
    """

    def __init__(self, in_size: int, out_size: int, step: float, sigma: float):
        super().__init__()
        source = torch.arange(in_size) - (in_size - 1) / 2
        target = step * (torch.arange(out_size) - (out_size - 1) / 2)
        matrix = bell((target[:, None] - source) / sigma)
        matrix = matrix / (sigma * math.sqrt(2 * math.pi))  # a constant stays a constant
        self.register_buffer("matrix", matrix.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Resample (..., in_size, in_size) to (..., out_size, out_size)."""
        return self.matrix @ x @ self.matrix.T
