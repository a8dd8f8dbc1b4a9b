"""Equivariant networks on one fibre: features are functions on the circle of directions, no grid.

A feature is C functions f(a) = h_0 + sqrt(2) sum_l (re_l cos l a + im_l sin l a), l <= L, kept as
coefficients (F, C, B) with rows h_0, re_1, im_1, re_2, ... (F = 2L + 1) and the batch last. Turning the
object by theta turns the pair (re_l, im_l) by l theta; a mirror negates im_l.

- Linear layers: Schur's lemma leaves one matrix for each frequency, complex under SO(2) (psi_l commutes
  with its own rotations), real under O(2).
- Non-linearity: sample f at N directions, apply SiLU, project back. It commutes with the N rotations
  exactly and with all others up to aliasing, which falls exponentially in N. For random functions with
  coefficients of size 1: 0.2 at N = 3 L, 5e-3 at 8 L, 1e-4 at 16 L; for half that size 5e-4 at 8 L.

The same layers exist in escnn (`Linear`, `FourierPointwise`), against which the tests hold these; here
every operation is one contiguous matrix product, several times faster on small networks.

References: Weiler, Cesa, General E(2)-equivariant steerable CNNs (2019), https://arxiv.org/abs/1911.08251,
section 2.6; Franzen, Wand, General nonlinearities in SO(2)-equivariant CNNs (2021) for the aliasing.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.symmetry.motions import angle_of, cos_sin, reflection_of
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class FibreAction:
    """How features move: (re_l, im_l) turns by l times the angle, a mirror negates im_l, shifts do nothing.

    What the layer table of `eqvae.metrics` needs to measure every layer by itself.
    """

    def __call__(self, g: Tensor, h: Tensor) -> Tensor:
        """g h for motions (B, 4) and coefficients (2L + 1, C, B)."""
        order = torch.arange(1, (len(h) - 1) // 2 + 1, dtype=h.dtype, device=h.device)
        cos, sin = cos_sin(order[:, None] * angle_of(g).to(h))  # (L, B)
        re, im = h[1::2], (1 - 2 * reflection_of(g).to(h)) * h[2::2]
        turned = torch.stack(
            [cos[:, None] * re - sin[:, None] * im, sin[:, None] * re + cos[:, None] * im], 1
        )
        return torch.cat([h[:1], turned.flatten(0, 1)])

    def velocity(self, h: Tensor, generator: str) -> Tensor:
        """d/dt exp(t X) h at t = 0: l (-im_l, re_l) for the rotation, zero for shifts."""
        if generator != "rotation":
            return torch.zeros_like(h)
        order = torch.arange(1, (len(h) - 1) // 2 + 1, dtype=h.dtype, device=h.device)[
            :, None, None
        ]
        turned = torch.stack([-order * h[2::2], order * h[1::2]], 1)
        return torch.cat([torch.zeros_like(h[:1]), turned.flatten(0, 1)])


class FibreLinear(nn.Module):
    """The most general equivariant linear map between functions on the circle.

    Args:
        in_channels, out_channels: number of functions.
        frequency: band limit L of both.
        symmetry: SO(2) or O(2).
    """

    def __init__(self, in_channels: int, out_channels: int, frequency: int, symmetry: PlaneMotions):
        super().__init__()
        self.frequency = frequency
        parts = 1 if symmetry.reflections else 2  # real, or real and imaginary
        self.invariant = nn.Parameter(
            torch.randn(out_channels, in_channels) / math.sqrt(in_channels)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels, 1))
        weight = torch.randn(parts, frequency, out_channels, in_channels)
        self.weight = nn.Parameter(weight / math.sqrt(parts * in_channels))

    def matrices(self) -> Tensor:
        """By frequency the matrix on (re, im) stacked: (L, 2 out, 2 in), [[A, -B], [B, A]]."""
        real = self.weight[0]
        imaginary = self.weight[1] if len(self.weight) == 2 else torch.zeros_like(real)
        rows = [torch.cat([real, -imaginary], dim=2), torch.cat([imaginary, real], dim=2)]
        return torch.cat(rows, dim=1)

    def forward(self, h: Tensor) -> Tensor:
        """Coefficients (2L + 1, in, B) to (2L + 1, out, B)."""
        constant = self.invariant @ h[0] + self.bias
        if self.frequency == 0:
            return constant[None]
        pairs = h[1 : 2 * self.frequency + 1].reshape(self.frequency, -1, h.shape[-1])
        moving = torch.bmm(self.matrices(), pairs).reshape(2 * self.frequency, -1, h.shape[-1])
        return torch.cat([constant[None], moving])


class FourierSiLU(nn.Module):
    """SiLU on functions on the circle: coefficients -> N samples -> SiLU -> coefficients.

    Args:
        frequency: band limit L of the input.
        out_frequency: band limit of the output, default that of the input.
        oversampling: samples for each unit of the input's band limit.
    """

    def __init__(self, frequency: int, out_frequency: int | None = None, oversampling: int = 8):
        super().__init__()
        out_frequency = frequency if out_frequency is None else out_frequency
        # harmonics of the output up to (oversampling - 1) L alias to nothing that is kept
        count = max((oversampling - 1) * frequency + out_frequency, 2 * out_frequency + 1)
        count = 4 * math.ceil(count / 4)  # quarter turns are among the samples, hence exact
        analyse = circle_functions(out_frequency, count).T / count  # orthonormal for count > 2L
        self.register_buffer("to_samples", circle_functions(frequency, count), persistent=False)
        self.register_buffer("to_coefficients", analyse, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """Coefficients (2L + 1, C, B) to (2 L_out + 1, C, B)."""
        samples = F.silu(self.to_samples @ h.flatten(1))
        return (self.to_coefficients @ samples).unflatten(1, h.shape[1:])


class FibreNorm(nn.Module):
    """Divide by the root mean square over all coefficients, an invariant of each object."""

    def forward(self, h: Tensor) -> Tensor:
        return h * torch.rsqrt(h.square().mean(dim=(0, 1), keepdim=True) + 1e-6)


class FibreMLP(nn.Module):
    """Equivariant multilayer perceptron between two sums of irreps: rho_out(g) f(h) = f(rho_in(g) h).

    Args:
        in_type, out_type: representations of input and output, without position.
        symmetry: SO(2) or O(2).
        hidden: functions on the circle in each hidden layer.
        frequency: their band limit L; higher frequencies of the input are not seen.
        depth: number of hidden layers, >= 2.
        out_frequency: band limit after the last hidden layer; higher ones of the output are zero.
        oversampling: see `FourierSiLU`.
        linear: (in_channels, out_channels, frequency, symmetry) -> linear layer on coefficients.
    """

    def __init__(
        self,
        in_type: Representation,
        out_type: Representation,
        symmetry: PlaneMotions,
        hidden: int,
        frequency: int,
        depth: int = 3,
        out_frequency: int | None = None,
        oversampling: int = 8,
        linear: Callable[..., nn.Module] = FibreLinear,
    ):
        super().__init__()
        if depth < 2:
            raise ValueError(f"depth must be >= 2 hidden layers; got {depth}.")
        out_frequency = frequency if out_frequency is None else out_frequency
        self.out_dim = out_type.dim
        in_order, out_order = fibre_order(in_type, frequency), fibre_order(out_type, out_frequency)
        self.register_buffer("in_order", in_order, persistent=False)
        filled = (out_order < out_type.dim).flatten().nonzero()[:, 0]
        self.register_buffer("out_filled", filled, persistent=False)
        self.register_buffer("out_order", out_order[out_order < out_type.dim], persistent=False)

        def layer(channels: int, out: int) -> nn.Sequential:
            return nn.Sequential(
                linear(channels, hidden, frequency, symmetry),
                FibreNorm(),
                FourierSiLU(frequency, out, oversampling),
            )

        self.first = layer(in_order.shape[1], frequency)
        self.middle = nn.ModuleList(layer(hidden, frequency) for _ in range(depth - 2))
        self.last = layer(hidden, out_frequency)
        self.head = linear(hidden, out_order.shape[1], out_frequency, symmetry)

    def forward(self, h: Tensor) -> Tensor:
        """Features (B, in_type.dim) to (B, out_type.dim)."""
        padded = F.pad(h, (0, 1)).T  # one zero row, where a frequency has fewer copies
        h = self.first(padded[self.in_order])
        for layer in self.middle:
            h = h + layer(h)
        out = self.head(self.last(h)).flatten(0, 1)[self.out_filled]
        return out.new_zeros(self.out_dim, out.shape[1]).index_copy(0, self.out_order, out).T


def quieten(layer: nn.Module, factor: float = 0.1) -> None:
    """Scale the weights of a layer that draws, so that a decoder starts near a blank image.

    From a loud random picture the cheapest way down is to blur it: the scale of the position runs off to
    the size of the image in ten steps, and the object has to be found again.
    """
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(factor)


def circle_functions(frequency: int, count: int) -> Tensor:
    """1, sqrt(2) cos l a, sqrt(2) sin l a at `count` equal angles, shape (count, 2L + 1)."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    columns = [torch.ones_like(angle)]
    for ell in range(1, frequency + 1):
        columns += [math.sqrt(2) * torch.cos(ell * angle), math.sqrt(2) * torch.sin(ell * angle)]
    return torch.stack(columns, dim=1).to(torch.get_default_dtype())


def fibre_order(representation: Representation, frequency: int) -> Tensor:
    """Which coordinate goes to which row and channel, (2L + 1, C); representation.dim where none does."""
    blocks = {b.frequency: b for b in representation.blocks}
    width = max(b.copies for ell, b in blocks.items() if ell <= frequency)
    order = torch.full((2 * frequency + 1, width), representation.dim)
    for ell, block in blocks.items():
        if ell > frequency:
            continue
        index = torch.arange(block.start, block.slice.stop).reshape(block.copies, block.dim).T
        row = 0 if ell == 0 else 2 * ell - 1
        order[row : row + block.dim, : block.copies] = index
    return order
