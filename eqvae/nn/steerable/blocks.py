"""Layers on steerable feature fields: convolution, norm, non-linearity.

Features are functions on the group H at every pixel, [g f](p) = rho(g) f(g^-1 p), with rho

    the regular representation of C_N and D_N (values at the elements; pointwise SiLU is exact), or
    functions on SO(2) and O(2) with angular frequencies <= L (coefficients; SiLU at N samples).

Every layer maps zero to zero (no bias, no mean), so that an empty background stays empty and the
zero padding of the convolutions is what lies outside anyway. Inside this folder fields travel as
plain tensors (B, channels, H, H); the types were checked when the layers were built.

References: Weiler, Cesa, General E(2)-equivariant steerable CNNs (2019),
https://arxiv.org/abs/1911.08251; Cesa, Lang, Weiler (2022),
https://openreview.net/forum?id=WE4qe9xlnQw.
"""

import torch
import torch.nn.functional as F
from escnn import nn as escnn_nn
from escnn.nn import FieldType
from torch import Tensor, nn

from eqvae.nn.steerable.pointwise import PlainSampledSiLU, SampledSiLU
from eqvae.symmetry.plane import PlaneMotions

FREQUENCY = 3  # band limit of the functions on SO(2) and O(2)
_CENTRE, _RING = 0.6, 0.7  # widths of the filter's rings, pixels: Gaussians, nearly band-limited
SAMPLES = 24  # of the non-linearity, 8 for each unit of frequency: aliasing about 1e-4


def scalar_fields(symmetry: PlaneMotions, count: int) -> FieldType:
    """`count` ordinary images."""
    return FieldType(symmetry.gspace, [symmetry.gspace.trivial_repr] * count)


def sign_fields(symmetry: PlaneMotions, count: int) -> FieldType:
    """`count` images that a mirror negates besides moving them; ordinary ones without mirrors."""
    if not symmetry.reflections:
        return scalar_fields(symmetry, count)
    sign = symmetry.group.irrep(1) if symmetry.rotations == 1 else symmetry.group.irrep(1, 0)
    return FieldType(symmetry.gspace, [sign] * count)


def function_fields(symmetry: PlaneMotions, width: int) -> FieldType:
    """As many functions on the group as make about `width` channels, at least one."""
    gspace = symmetry.gspace
    if symmetry.is_finite:
        representation = gspace.regular_repr
    else:
        irreps = gspace.fibergroup.bl_irreps(FREQUENCY)
        representation = gspace.fibergroup.spectral_regular_representation(*irreps, name=None)
    return FieldType(gspace, [representation] * max(1, round(width / representation.size)))


class SteerableConv(escnn_nn.R2Conv):
    """escnn's steerable convolution on plain tensors, the same size out as in, without bias.

    The rings on which the filter lives stop one pixel short of the kernel's edge. escnn's default
    has one on the edge, which the square window cuts between the axes and the diagonals: without it
    the vectors in an encoder's latent err half as much.

    The filter is expanded from its weights in every pass. escnn 1.0.11 caches it in eval mode, as a
    buffer that train mode deletes: that makes state dicts of the two modes differ, copies fail and
    the cache go stale when weights are loaded, to save a product that is small beside the
    convolution.
    """

    def __init__(self, in_type: FieldType, out_type: FieldType, kernel_size: int):
        super().__init__(
            in_type,
            out_type,
            kernel_size,
            padding=kernel_size // 2,
            bias=False,
            rings=[float(radius) for radius in range(kernel_size // 2)],
            sigma=[_CENTRE] + [_RING] * (kernel_size // 2 - 1),
            recompute=True,  # escnn shares it otherwise: .double() or .cuda() would move every model
        )
        del self.filter

    def train(self, mode: bool = True) -> "SteerableConv":
        return nn.Module.train(self, mode)

    def forward(self, h: Tensor) -> Tensor:
        kernel, _ = self.expand_parameters()
        return F.conv2d(h, kernel, padding=self.padding)

    def export(self) -> nn.Conv2d:
        """The same as an ordinary convolution, which needs no escnn."""
        kernel, _ = self.expand_parameters()
        out_channels, in_channels, *size = kernel.shape
        plain = nn.Conv2d(in_channels, out_channels, size, padding=self.padding, bias=False)
        plain.weight = nn.Parameter(kernel.detach().clone())
        return plain


class FieldNorm(nn.Module):
    """Divide by the root mean square over all pixels and channels; one gain for each field.

    The mean square is an invariant of the group and of shifts, it needs no statistics of other
    images, and nothing is subtracted.
    """

    def __init__(self, field_type: FieldType):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(len(field_type)))

    def forward(self, h: Tensor) -> Tensor:
        scale = torch.rsqrt(h.square().mean(dim=(1, 2, 3)) + 1e-8)
        gain = self.gain.repeat_interleave(h.shape[1] // len(self.gain))
        return h * (scale[:, None] * gain)[:, :, None, None]


class FourierSiLU(escnn_nn.FourierPointwise):
    """SiLU on band-limited functions on SO(2) or O(2): coefficients -> samples -> SiLU ->
    coefficients.

    escnn 1.0.11 has no SiLU, whose aliasing falls fastest (1e-4 at N = 8 L; ELU: 1e-3).
    """

    def __init__(self, symmetry: PlaneMotions, channels: int):
        gspace = symmetry.gspace
        irreps = gspace.fibergroup.bl_irreps(FREQUENCY)
        super().__init__(gspace, channels, irreps, type="regular", N=SAMPLES)

    def forward(self, h: Tensor) -> Tensor:
        fields = h.reshape(len(h) * len(self.in_type), self.rho.size, -1)
        return SampledSiLU.apply(fields, self.A, self.Ainv).reshape(h.shape)

    def export(self) -> "PlainSampledSiLU":
        """The same as an ordinary module, which needs no escnn."""
        return PlainSampledSiLU(self.A, self.Ainv)


def nonlinearity(symmetry: PlaneMotions, field_type: FieldType) -> nn.Module:
    """SiLU for functions on the group."""
    return nn.SiLU() if symmetry.is_finite else FourierSiLU(symmetry, len(field_type))


def block(
    symmetry: PlaneMotions, in_type: FieldType, out_type: FieldType, kernel_size: int
) -> nn.Sequential:
    """Convolution, norm, SiLU."""
    return nn.Sequential(
        SteerableConv(in_type, out_type, kernel_size),
        FieldNorm(out_type),
        nonlinearity(symmetry, out_type),
    )
