"""The `steerable` encoder: convolutions at half resolution, read out in disk harmonics.

    x -> Gaussian pooling x' -> [steerable convolution, norm, SiLU] x depth, convolution -> u, h
    t = centroid of |h|^2,   a = disk harmonics of (x', u) about t,   q = fibre network(a)

With a `pool` part the first convolution sees x itself, and the pool makes its features coarser.

The read-out is the adjoint of the decoder's seed. It turns maps into irreps at the continuous
position t without an interpolation, where a sum over pixels would only keep each map's mean. Maps
that a mirror negates give the sign irreps of the latent, by their invariant coefficients.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior
from eqvae.domains import SquareGrid
from eqvae.nn.fibre import FibreMLP
from eqvae.nn.fields.layer import LayerPart
from eqvae.nn.fields.resample import GaussianResample
from eqvae.nn.harmonic import LatentSplit, posterior_type
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.localise import centroid
from eqvae.nn.network import LatentNetwork
from eqvae.nn.sizes import check_steerable_size, coarser
from eqvae.nn.steerable.blocks import function_fields, scalar_fields, sign_fields
from eqvae.nn.steerable.harmonics import check_steerable, fibre_symmetry
from eqvae.nn.steerable.trunk import feature_pool, trunk
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_HEAT_MAPS = 4
_REACH = 0.3  # radius of the read-out, in sides of the grid


class SteerableEncoder(LatentNetwork):
    """q(z|x) from steerable convolutions: q(z|g x) = g q(z|x), exact at quarter turns.

    Args:
        domain: of the images.
        channels: of the images.
        representation: of the latent; needs a position.
        symmetry: C_N, D_N, SO(2) or O(2).
        width: channels of the feature fields (rounded to whole fields).
        depth: number of non-linear layers.
        kernel_size: of the convolutions.
        maps: scalar maps that are read out besides the image itself.
        readout_degree: of the disk harmonics of the read-out.
        sigma: of the Gaussian pooling, pixels; less keeps more detail, more errs less.
        hidden, frequency, fibre_depth: functions on the circle in the fibre network, their band
            limit, and its number of hidden layers.
        pool: a layer of `eqvae.nn.fields` that makes the features behind the first convolution
            coarser, in place of the Gaussian pooling of the image before it.
        layers: layers of `eqvae.nn.fields` behind every non-linear one, in order, such as dropout.

    Raises:
        ValueError: if the sizes don't fit, the latent has no position, it holds a frequency that
            the symmetry can't tell from lower ones, or a layer can't treat the fields.
    """

    def __init__(
        self,
        domain: SquareGrid,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        width: int = 42,
        depth: int = 2,
        kernel_size: int = 7,
        maps: int = 16,
        readout_degree: int = 8,
        sigma: float = 2.0,
        hidden: int = 32,
        frequency: int = 5,
        fibre_depth: int = 2,
        pool: LayerPart | None = None,
        layers: Sequence[LayerPart] = (),
    ):
        check_steerable(representation, symmetry, frequency)
        check_steerable_size(domain, channels, kernel_size, width=width, depth=depth, maps=maps)
        super().__init__(domain, channels, representation, symmetry)
        self.kinds = [maps, _HEAT_MAPS, representation.sign]
        pool_layer = feature_pool(pool, symmetry, width, domain.size, kernel_size)
        self.pools_features = pool_layer is not None
        half = SquareGrid(pool_layer.out_size if pool_layer else coarser(domain.size))
        self.step = pool_layer.step if pool_layer else 2
        self.pool = GaussianResample(domain.size, half.size, step=self.step, sigma=sigma)
        out_type = scalar_fields(symmetry, maps + _HEAT_MAPS)
        if representation.sign:
            out_type = out_type + sign_fields(symmetry, representation.sign)
        self.trunk = trunk(
            symmetry,
            scalar_fields(symmetry, channels),
            function_fields(symmetry, width),
            out_type,
            depth=depth,
            kernel_size=kernel_size,
            size=half.size,
            pool=pool_layer,
            layers=layers,
        )
        self.register_buffer("points", self.step * half.points(), persistent=False)
        self.readout = DiskHarmonics(half, channels + maps, readout_degree, _REACH * half.size)
        out = posterior_type(representation)
        self.split = LatentSplit(out, representation)
        self.mlp = FibreMLP(
            self.readout.representation,
            out,
            fibre_symmetry(symmetry),
            hidden,
            frequency,
            fibre_depth,
        )
        if representation.sign:
            means = representation.sign * self.readout.multiplicities[0]
            self.signs = nn.Linear(means, representation.sign, bias=False)

    def forward(self, x: Tensor) -> GaussianPosterior:
        """The posterior of images (B, C, H, H)."""
        pooled = self.pool(x)
        seen = x if self.pools_features else pooled
        maps, heat, signs = self.trunk(seen).split(self.kinds, dim=1)
        t = centroid(heat.square().sum(dim=1), self.points)
        maps = torch.cat([pooled, maps], dim=1)
        coefficients = self.readout.analyse(maps, t / self.step)
        v, log_scale, correction, _ = self.split(self.mlp(self.readout.by_irrep(coefficients)))
        invariants = self.representation.multiplicities[0]
        parts = [t + correction, v[:, :invariants], v[:, invariants:]]
        if self.representation.sign:
            means = self.readout.analyse(signs, t / self.step)[
                ..., : self.readout.multiplicities[0]
            ]
            parts.insert(2, self.signs(means.flatten(1)))
        return GaussianPosterior(self.representation, torch.cat(parts, dim=1), log_scale)
