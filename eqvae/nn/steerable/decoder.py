"""The `steerable` decoder: an exact seed at the position, then convolutions at full resolution.

    z = (t, v) -> fibre network -> scalar maps in disk harmonics about t
      -> [steerable convolution, norm, SiLU] x depth -> steerable convolution -> image

The seed is a closed-form function of the plane, equivariant at every angle and position without an
interpolation. Full resolution from the start needs no upsampling filter, and the seed's band limit leaves
room for the harmonics that the non-linearity makes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.nn.fibre import FibreMLP
from eqvae.nn.harmonic import channel_order, image_type, without_position
from eqvae.nn.sizes import check_steerable_size
from eqvae.nn.steerable.blocks import SteerableConv, block, function_fields, scalar_fields
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
        maps: scalar maps in the seed.
        degree: of the disk harmonics of the seed.
        margin: pixels around the image that are computed and cropped, for objects that touch its border.
        hidden, frequency: functions on the group in the fibre network, and their band limit.

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
        hidden: int = 16,
        frequency: int = 6,
    ):
        super().__init__()
        check_steerable(representation, symmetry)
        check_steerable_size(image_size, channels, kernel_size, width=width, depth=depth, maps=maps)
        self.representation = representation
        self.symmetry = symmetry
        self.maps = maps
        self.margin = margin
        self.harmonics = fitted_harmonics(image_size + 2 * margin, degree)
        self.mlp = FibreMLP(
            without_position(representation),
            image_type(self.harmonics, maps),
            fibre_symmetry(symmetry),
            hidden,
            frequency,
            out_frequency=self.harmonics.degree,
        )
        inverse = channel_order(self.harmonics, maps).argsort()
        self.register_buffer("order", inverse, persistent=False)
        hidden_type = function_fields(symmetry, width)
        layers = [block(symmetry, scalar_fields(symmetry, maps), hidden_type, kernel_size)]
        layers += [block(symmetry, hidden_type, hidden_type, kernel_size) for _ in range(depth - 1)]
        out_type = scalar_fields(symmetry, channels)
        self.trunk = nn.Sequential(*layers, SteerableConv(hidden_type, out_type, kernel_size))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        coefficients = self.mlp(z[:, 2:])[:, self.order].unflatten(1, (self.maps, -1))
        canvas = self.trunk(self.harmonics.synthesise(coefficients, z[:, :2]))
        return F.pad(canvas, (-self.margin,) * 4)
