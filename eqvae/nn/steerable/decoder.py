"""The `steerable` decoder: an exact image at the position, refined by steerable convolutions.

    z = (t, v) -> fibre network -> maps u_0 (sharp) and u (smooth), in disk harmonics about t
    image = u_0 + gain * trunk(u)
    trunk: [steerable convolution, norm, SiLU] x depth, steerable convolution

The maps are closed-form functions of the plane, equivariant at every angle and position, without
interpolation; only what the convolutions add to u_0 can err. Full resolution from the start needs no
upsampling filter, and the low band of u leaves room for the frequencies that SiLU makes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.domains import SquareGrid
from eqvae.nn.fibre import FibreMLP, quieten
from eqvae.nn.fields.layer import LayerPart
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.network import LatentNetwork
from eqvae.nn.sizes import check_steerable_size
from eqvae.nn.steerable.blocks import function_fields, scalar_fields, sign_fields
from eqvae.nn.steerable.harmonics import Synthesis, check_steerable, fibre_symmetry
from eqvae.nn.steerable.trunk import trunk
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_REACH = 0.3  # radius that the seeds cover, in sides of the grid


class SteerableDecoder(LatentNetwork):
    """Images from z = (t, v) by steerable convolutions: D(g z) = g D(z), exact at quarter turns.

    Args:
        domain: of the images.
        channels: of the images.
        representation: of the latent; needs a position.
        symmetry: C_N, D_N, SO(2) or O(2).
        width: channels of the feature fields (rounded to whole fields).
        depth: number of non-linear layers.
        kernel_size: of the convolutions.
        maps: smooth maps that the convolutions start from.
        degree: of the disk harmonics of u_0.
        smooth_degree: of the disk harmonics of u; low, because the square of u must fit the grid.
        margin: pixels around the image that are computed and cropped, for objects that touch its
            border.
        hidden, frequency, fibre_depth: functions on the circle in the fibre network, their band
            limit, and its number of hidden layers.
        layers: layers of `eqvae.nn.fields` behind every non-linear one, in order, such as dropout.

    Raises:
        ValueError: as `SteerableEncoder`.
    """

    def __init__(
        self,
        domain: SquareGrid,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        width: int = 28,
        depth: int = 1,
        kernel_size: int = 7,
        maps: int = 8,
        degree: int = 18,
        smooth_degree: int = 6,
        margin: int = 2,
        hidden: int = 32,
        frequency: int = 5,
        fibre_depth: int = 2,
        layers: Sequence[LayerPart] = (),
    ):
        check_steerable(representation, symmetry, frequency)
        check_steerable_size(domain, channels, kernel_size, width=width, depth=depth, maps=maps)
        super().__init__(domain, channels, representation, symmetry)
        self.margin = margin
        larger = SquareGrid(domain.size + 2 * margin)
        sharp = DiskHarmonics(larger, channels, degree, _REACH * larger.size)
        self.seed = Synthesis(sharp, DiskHarmonics(larger, maps, smooth_degree, sharp.radius))
        self.mlp = FibreMLP(
            Representation(representation.multiplicities, position=False),
            self.seed.representation,
            fibre_symmetry(symmetry),
            hidden,
            frequency,
            fibre_depth,
            out_frequency=sharp.degree,
        )
        quieten(self.mlp.head)
        seed_type = scalar_fields(symmetry, maps)
        if representation.sign:
            seed_type = seed_type + sign_fields(symmetry, representation.sign)
        self.trunk = trunk(
            symmetry,
            seed_type,
            function_fields(symmetry, width),
            scalar_fields(symmetry, channels),
            depth=depth,
            kernel_size=kernel_size,
            size=larger.size,
            layers=layers,
        )
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        parts, signs = self.representation.slices, self.representation.sign
        v = torch.cat([z[:, parts.content], z[:, parts.moving]], dim=1)
        image, seed = self.seed(self.mlp(v), z[:, parts.position])
        if signs:  # a sign times a scalar map is a map that a mirror negates
            chosen = torch.arange(signs, device=z.device) % seed.shape[1]
            seed = torch.cat([seed, z[:, parts.sign, None, None] * seed[:, chosen]], dim=1)
        image = image + self.gain * self.trunk(seed)
        return F.pad(image, (-self.margin,) * 4)
