"""An ordinary convolutional VAE, the reference: no symmetry is built in.

Strided 3x3 convolutions down, nearest-neighbour upsampling and 3x3 convolutions up (no
checkerboard), group norm, SiLU. The latent is read and written by one linear map of the flattened
features, so nothing ties the coordinates to the irreps whose names they bear: E(g x) = g . E(x)
must be learned, if at all. On a hexagonal lattice the same convolutions run on its array, where the six
neighbours of a point are among the eight of its place.
"""

import torch
from torch import Tensor, nn

from eqvae.distributions import START_LOG_SCALE, GaussianPosterior
from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.nn.network import LatentNetwork
from eqvae.nn.sizes import check_plain_size, coarser
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_PIXELS = 5.0  # pixels for one unit of the raw position, about the spread of shifted objects


class PlainEncoder(LatentNetwork):
    """Images -> q(z|x), by a convolutional network that knows no symmetry.

    Args:
        domain: of the images.
        channels: of the images.
        representation: the latent space; only its sizes matter here.
        symmetry: names the action that losses and scores use, None the trivial one; nothing is imposed.
        width: channels at full resolution; the three coarser levels have 2, 3 and 3 times as many.

    Raises:
        ValueError: if the image is too small for three halvings.
    """

    def __init__(
        self,
        domain: SquareGrid | HexagonalGrid,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions | None = None,
        width: int = 32,
    ):
        check_plain_size(domain, channels, width)
        super().__init__(domain, channels, representation, symmetry or PlaneMotions.trivial())
        sizes = _level_sizes(domain.size)
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            *_normed(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            *_normed(2 * width),
            nn.Conv2d(2 * width, 3 * width, 3, stride=2, padding=1),
            *_normed(3 * width),
            nn.Conv2d(3 * width, 3 * width, 3, stride=2, padding=1),
            *_normed(3 * width),
            nn.Conv2d(3 * width, width, 1),
            nn.Flatten(),
        )
        features = width * sizes[-1] ** 2
        self.head = nn.Linear(features, representation.dim + representation.num_copies)
        with torch.no_grad():
            self.head.bias[representation.dim :] += START_LOG_SCALE
        self.register_buffer("unit", _units(representation), persistent=False)
        self.to(memory_format=torch.channels_last)  # half as fast again on a CPU

    @property
    def last(self) -> nn.Linear:
        """The layer that writes the posterior."""
        return self.head

    def forward(self, x: Tensor) -> GaussianPosterior:
        """q(z|x) for images (B, C, H, H)."""
        loc, log_scale = self.head(self.trunk(x)).split(
            [self.representation.dim, self.representation.num_copies], dim=1
        )
        return GaussianPosterior(self.representation, loc * self.unit, log_scale)


class PlainDecoder(LatentNetwork):
    """Latents -> images, the mirror image of `PlainEncoder`.

    Args and errors: as for the encoder.
    """

    def __init__(
        self,
        domain: SquareGrid | HexagonalGrid,
        channels: int,
        representation: Representation,
        width: int = 32,
    ):
        check_plain_size(domain, channels, width)
        super().__init__(domain, channels, representation, None)
        sizes = _level_sizes(domain.size)
        self.head = nn.Linear(representation.dim, width * sizes[-1] ** 2)
        self.trunk = nn.Sequential(
            nn.Unflatten(1, (width, sizes[-1], sizes[-1])),
            nn.Conv2d(width, 3 * width, 1),
            *_normed(3 * width),
            nn.Upsample(size=sizes[2]),
            nn.Conv2d(3 * width, 3 * width, 3, padding=1),
            *_normed(3 * width),
            nn.Upsample(size=sizes[1]),
            nn.Conv2d(3 * width, 2 * width, 3, padding=1),
            *_normed(2 * width),
            nn.Upsample(size=sizes[0]),
            nn.Conv2d(2 * width, width, 3, padding=1),
            *_normed(width),
            nn.Conv2d(width, channels, 3, padding=1),
        )
        self.register_buffer("unit", _units(representation), persistent=False)
        self.to(memory_format=torch.channels_last)

    @property
    def last(self) -> nn.Conv2d:
        """The layer that writes the image."""
        return self.trunk[-1]

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) from latents (B, D)."""
        return self.trunk(self.head(z / self.unit))


def _level_sizes(size: int) -> list[int]:
    """Sides of the four levels: a 3x3 convolution of stride 2 makes (n + 1) // 2 of n."""
    sizes = [size]
    for _ in range(3):
        sizes.append(coarser(sizes[-1]))
    return sizes


def _units(representation: Representation) -> Tensor:
    """What one unit of each raw coordinate is, (D,): pixels for the position."""
    unit = torch.ones(representation.dim)
    unit[representation.slices.position] = _PIXELS
    return unit


def _normed(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels), nn.SiLU()
