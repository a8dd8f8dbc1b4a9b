"""The `steerable` decoder: an exact seed at the position, refined by steerable convolutions.

    z = (t, v) -> fibre network -> scalar maps u in disk harmonics about t
    image = u_0 + gain * trunk(u),   trunk = [steerable convolution, norm, SiLU] x depth, convolution

The seed is a closed-form function of the plane, equivariant at every angle and position without an
interpolation, and what is left of the image after u_0 is all that the convolutions can err on. Full
resolution from the start needs no upsampling filter, and the seed's band limit leaves room for the
frequencies that the non-linearity makes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.nn.fibre import FibreMLP
from eqvae.nn.harmonic import channel_order, image_type, without_position
from eqvae.nn.sizes import check_steerable_size
from eqvae.nn.steerable.blocks import (
    SteerableConv,
    block,
    function_fields,
    scalar_fields,
    sign_fields,
)
from eqvae.nn.steerable.harmonics import check_steerable, fibre_symmetry, fitted_harmonics
from eqvae.symmetry.groups import Symmetry
from eqvae.symmetry.representations import LatentRepresentation


class SteerableDecoder(nn.Module):
    """Images from z = (t, v) by steerable convolutions: D(g z) = g D(z), exact at quarter turns.

    Args:
        image_size: side of the image, pixels.
        channels: of the image.
        representation: of the latent; needs a position.
        symmetry: C_N, D_N, SO(2) or O(2).
        width: channels of the feature fields (rounded to whole fields).
        depth: number of non-linear layers.
        kernel_size: of the convolutions.
        maps: scalar maps in the seed besides the image itself.
        degree: of the disk harmonics of the seed.
        margin: pixels around the image that are computed and cropped, for objects that touch its border.
        hidden, frequency, fibre_depth: functions on the circle in the fibre network, their band
            limit, and its number of hidden layers.

    Raises:
        ValueError: as `SteerableEncoder`.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        representation: LatentRepresentation,
        symmetry: Symmetry = Symmetry.so2(),
        width: int = 28,
        depth: int = 1,
        kernel_size: int = 5,
        maps: int = 8,
        degree: int = 16,
        margin: int = 2,
        hidden: int = 32,
        frequency: int = 5,
        fibre_depth: int = 2,
    ):
        super().__init__()
        check_steerable(representation, symmetry)
        check_steerable_size(image_size, channels, kernel_size, width=width, depth=depth, maps=maps)
        self.representation = representation
        self.symmetry = symmetry
        self.channels = channels
        self.maps = maps + channels
        self.margin = margin
        first = 2 + representation.multiplicities[0]
        self.signs = slice(first, first + representation.sign)
        self.harmonics = fitted_harmonics(image_size + 2 * margin, degree)
        self.mlp = FibreMLP(
            without_position(representation),
            image_type(self.harmonics, self.maps),
            fibre_symmetry(symmetry),
            hidden,
            frequency,
            fibre_depth,
            out_frequency=self.harmonics.degree,
        )
        inverse = channel_order(self.harmonics, self.maps).argsort()
        self.register_buffer("order", inverse, persistent=False)
        hidden_type = function_fields(symmetry, width)
        seed_type = scalar_fields(symmetry, self.maps)
        if representation.sign:
            seed_type = seed_type + sign_fields(symmetry, representation.sign)
        layers = [block(symmetry, seed_type, hidden_type, kernel_size)]
        layers += [block(symmetry, hidden_type, hidden_type, kernel_size) for _ in range(depth - 1)]
        out_type = scalar_fields(symmetry, channels)
        self.trunk = nn.Sequential(*layers, SteerableConv(hidden_type, out_type, kernel_size))
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        signs = self.signs
        v = torch.cat([z[:, 2 : signs.start], z[:, signs.stop :]], dim=1)
        coefficients = self.mlp(v)[:, self.order].unflatten(1, (self.maps, -1))
        seed = self.harmonics.synthesise(coefficients, z[:, :2])
        if signs.stop > signs.start:  # a sign times a scalar map is a map that a mirror negates
            chosen = torch.arange(signs.stop - signs.start, device=z.device) % self.maps
            seed = torch.cat([seed, z[:, signs, None, None] * seed[:, chosen]], dim=1)
        image = seed[:, : self.channels] + self.gain * self.trunk(seed)
        return F.pad(image, (-self.margin,) * 4)
