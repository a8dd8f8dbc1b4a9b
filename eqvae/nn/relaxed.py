"""Relaxed symmetry: equivariant layers and in each something small that no law binds.

    y = W_eq h + up (down h),        W_res = up down of rank r,    up = 0 at the start
    y = W_eq h + b,                  b of every frequency,         b_l = 0 for l > 0 at the start

W_eq is the most general equivariant map. Either a residual map breaks the symmetry, any between the
coordinates, or a bias that does not turn with the object, which costs hardly a parameter. A prior on them,
`eqvae.losses.ResidualPenalty`, makes the data pay for what breaks the symmetry. Coefficients are taken
about the object, so nothing in them says where it is; `PositionResidual` tells a network.

References: Finzi, Benton, Wilson, Residual pathway priors for soft equivariance constraints (2021),
https://arxiv.org/abs/2112.01388, there with a dense residual and fixed variances.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior
from eqvae.nn.fibre import FibreAction, FibreLinear
from eqvae.nn.harmonic import HarmonicDecoder, HarmonicEncoder
from eqvae.nn.network import Wrapper
from eqvae.symmetry.plane import PlaneMotions

_PIXELS = 50.0  # a tenth of what objects move, as the gain of the layers


class RelaxedFibreLinear(nn.Module):
    """`FibreLinear` and a residual map of low rank over all coordinates; equivariant at the start.

    Args:
        in_channels, out_channels, frequency, symmetry: as of `FibreLinear`.
        rank: r of the residual, r (2L + 1) (in + out) parameters; lowered where a side is smaller.
        gain: factor on the residual. Adam moves every weight by its rate, whether the data ask for it or
            not; a small gain keeps noise from breaking a symmetry that the data have.

    Raises:
        ValueError: if rank < 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        frequency: int,
        symmetry: PlaneMotions,
        rank: int = 2,
        gain: float = 0.1,
    ):
        super().__init__()
        if rank < 1:
            raise ValueError(
                f"rank of a residual must be >= 1; got {rank}. Use FibreLinear for none."
            )
        self.gain = gain
        self.rows = 2 * frequency + 1
        inputs, outputs = self.rows * in_channels, self.rows * out_channels
        rank = min(rank, inputs, outputs)
        self.equivariant = FibreLinear(in_channels, out_channels, frequency, symmetry)
        self.down = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    @property
    def freedom(self) -> int:
        """Dimension r (m + n - r) of the matrices of rank r."""
        return self.down.numel() + self.up.numel() - len(self.down) ** 2

    def residual(self) -> Tensor:
        """|W_res|^2 (Frobenius): at least the squared distance from the equivariant maps."""
        return self.gain**2 * ((self.up.T @ self.up) * (self.down @ self.down.T)).sum()

    def size(self) -> Tensor:
        """|W_eq|^2 (Frobenius), what the residual is relative to."""
        return equivariant_size(self.equivariant)

    def forward(self, h: Tensor) -> Tensor:
        """Coefficients (2L + 1, in, B) to (2L + 1, out, B)."""
        residual = self.gain * self.up @ (self.down @ h[: self.rows].flatten(0, 1))
        return self.equivariant(h) + residual.unflatten(0, (self.rows, -1))


class BiasedFibreLinear(nn.Module):
    """`FibreLinear` and a bias in every frequency, which points somewhere: equivariant at the start.

        y_l = W_l h_l + gain b_l,    l = 1, ..., L,    b_l = 0 at the start;    y_0 as of `FibreLinear`

    A bias that turns with nothing is what tells a network where up is. It breaks the symmetry at
    2 L out parameters, hardly any beside the weights, and with b = 0 the network is the hard one.

    Args:
        in_channels, out_channels, frequency, symmetry: as of `FibreLinear`.
        gain: factor on the bias, see `RelaxedFibreLinear`.

    References: Smidt, Geiger, Miller, Finding symmetry breaking order parameters with Euclidean neural
    networks (2021), https://arxiv.org/abs/2007.02005, there as learned inputs of one network.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        frequency: int,
        symmetry: PlaneMotions,
        gain: float = 0.1,
    ):
        super().__init__()
        self.gain = gain
        self.equivariant = FibreLinear(in_channels, out_channels, frequency, symmetry)
        self.direction = nn.Parameter(torch.zeros(2 * frequency, out_channels, 1))

    @property
    def freedom(self) -> int:
        return self.direction.numel()

    def residual(self) -> Tensor:
        """|gain b|^2 over frequencies above 0, all of it a residual."""
        return self.gain**2 * self.direction.square().sum()

    def size(self) -> Tensor:
        """|W_eq|^2 (Frobenius), what the residual is relative to."""
        return equivariant_size(self.equivariant)

    def forward(self, h: Tensor) -> Tensor:
        """Coefficients (2L + 1, in, B) to (2L + 1, out, B)."""
        return self.equivariant(h) + self.gain * F.pad(self.direction, (0, 0, 0, 0, 1, 0))


class PositionResidual(nn.Module):
    """h + W t / 50 px: coordinates that depend on where the object is; W = 0 at the start.

    Args:
        dim: number of coordinates.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim, 2))

    @property
    def freedom(self) -> int:
        return self.weight.numel()

    def residual(self) -> Tensor:
        """|W|^2, all of it a residual: t moves with shifts, h does not."""
        return self.weight.square().sum()

    def size(self) -> Tensor:
        """|I|^2 of the coordinates that pass through."""
        return self.weight.new_tensor(float(len(self.weight)))

    def forward(self, h: Tensor, t: Tensor) -> Tensor:
        """Coordinates (B, dim) of objects at t (B, 2), pixels."""
        return h + (t / _PIXELS) @ self.weight.T


class RelaxedHarmonicEncoder(Wrapper):
    """A `HarmonicEncoder` that may know where the object is; give it relaxed layers as `linear`.

    Args:
        encoder: the harmonic encoder.
    """

    inner = "harmonic"

    def __init__(self, encoder: HarmonicEncoder):
        super().__init__()
        self.harmonic = encoder
        self.position = PositionResidual(encoder.harmonics.representation.dim)

    @property
    def layer_actions(self) -> dict[str, FibreAction]:
        """How each fibre layer would move without its residual."""
        return {f"harmonic.{name}": act for name, act in self.harmonic.layer_actions.items()}

    def forward(self, x: Tensor) -> GaussianPosterior:
        """The posterior of images (B, C, H, H)."""
        view = self.harmonic.view(x)
        h = self.position(self.harmonic.coefficients(x, view), view.position)
        return self.harmonic.posterior(h, view)


class RelaxedHarmonicDecoder(Wrapper):
    """A `HarmonicDecoder` that may draw an object differently where it is elsewhere.

    Args:
        decoder: the harmonic decoder; give it relaxed layers as `linear`.
    """

    inner = "harmonic"

    def __init__(self, decoder: HarmonicDecoder):
        super().__init__()
        self.harmonic = decoder
        self.position = PositionResidual(decoder.representation.vector.dim)

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        return self.harmonic(self._placed(z))

    def render(self, z: Tensor, points: Tensor) -> Tensor:
        """The same images at any points of the plane, (B, P, 2) pixels: (B, C, P)."""
        return self.harmonic.render(self._placed(z), points)

    def _placed(self, z: Tensor) -> Tensor:
        slices = self.representation.slices
        t, v = z[:, slices.position], z[:, slices.vector]
        return torch.cat([z[:, : slices.vector.start], self.position(v, t)], dim=1)


def equivariant_size(layer: FibreLinear) -> Tensor:
    """|W|^2 (Frobenius) of the whole equivariant map: A and B stand twice in [[A, -B], [B, A]]."""
    return layer.invariant.square().sum() + 2 * layer.weight.square().sum()
