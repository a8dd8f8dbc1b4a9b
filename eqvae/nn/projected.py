"""Projected symmetry: dense layers that are pulled towards their own projection on the equivariant maps.

    P(W) = integral of rho_out(g)^-1 W rho_in(g) dg        (Reynolds operator of SO(2) or O(2))

On coefficients by frequency the average is a formula: blocks between different frequencies vanish and a
block [[a, b], [c, d]] on (re, im) becomes [[A, -B], [B, A]], A = (a + d) / 2, B = (c - b) / 2; mirrors take
B to zero. `eqvae.losses.ResidualPenalty` charges |W - P(W)|^2, which is exact over the whole group and
needs no samples of it.

References: Berndt, Stuehmer, Approximate equivariance via projection-based regularisation (2026),
https://arxiv.org/abs/2601.05028.
"""

import math

import torch
from torch import Tensor, nn

from eqvae.symmetry.plane import PlaneMotions


class DenseFibreLinear(nn.Module):
    """Any linear map between the coordinates of functions on the circle; fully random at the start.

    Only the bias is equivariant, as of `FibreLinear`.

    Args:
        in_channels, out_channels: number of functions.
        frequency: band limit L of both.
        symmetry: SO(2) or O(2), whose equivariant maps count as no residual.
    """

    def __init__(self, in_channels: int, out_channels: int, frequency: int, symmetry: PlaneMotions):
        super().__init__()
        self.mirrors = symmetry.reflections
        rows = 2 * frequency + 1
        weight = torch.randn(rows, out_channels, rows, in_channels)
        self.weight = nn.Parameter(weight / math.sqrt(rows * in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1))

    @property
    def freedom(self) -> int:
        """Dimension of the maps that are not equivariant: by frequency 1 or 2 of each pair remain."""
        rows, out, _, channels = self.weight.shape
        kept = 1 + (rows // 2 if self.mirrors else rows - 1)
        return (rows**2 - kept) * out * channels

    def residual(self) -> Tensor:
        """|W - P(W)|^2 (Frobenius): the squared distance from the equivariant maps."""
        return (self.weight - reynolds(self.weight, self.mirrors)).square().sum()

    def size(self) -> Tensor:
        """|P(W)|^2 (Frobenius), what the residual is relative to."""
        return reynolds(self.weight, self.mirrors).square().sum()

    def forward(self, h: Tensor) -> Tensor:
        """Coefficients (2L + 1, in, B) to (2L + 1, out, B)."""
        rows, out = self.weight.shape[:2]
        y = self.weight.flatten(2).flatten(0, 1) @ h[:rows].flatten(0, 1)
        y = y.unflatten(0, (rows, out))
        return torch.cat([y[:1] + self.bias, y[1:]])


def reynolds(weight: Tensor, mirrors: bool = False) -> Tensor:
    """P(W), the equivariant map closest to W, for W (2L + 1, out, 2L + 1, in) on coefficients.

    Args:
        weight: by row and channel of output and input.
        mirrors: average over O(2) instead of SO(2).
    """
    re = torch.arange(1, len(weight), 2, device=weight.device)
    im = re + 1
    real = 0.5 * (weight[re, :, re] + weight[im, :, im])  # (L, out, in)
    projected = torch.zeros_like(weight)
    projected[0, :, 0] = weight[0, :, 0]
    projected[re, :, re] = real
    projected[im, :, im] = real
    if not mirrors:
        imaginary = 0.5 * (weight[im, :, re] - weight[re, :, im])
        projected[im, :, re] = imaginary
        projected[re, :, im] = -imaginary
    return projected
