"""An ordinary convolutional VAE, the reference: no symmetry is built in.

Strided 3x3 convolutions down, nearest-neighbour upsampling and 3x3 convolutions up (no
checkerboard), group norm, SiLU. The latent is read and written by one linear map of the flattened
features, so nothing ties the coordinates to the irreps whose names they bear: E(g x) = g . E(x)
must be learned, if at all.
"""

import torch
from torch import Tensor, nn

from eqvae.distributions import START_LOG_SCALE, GaussianPosterior
from eqvae.nn.sizes import check_plain_size
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_PIXELS = 5.0  # pixels for one unit of the raw position, about the spread of shifted objects


class PlainEncoder(nn.Module):
    """Images -> q(z|x), by a convolutional network that knows no symmetry.

    Args:
        image_size: side of the square images, pixels.
        channels: of the images.
        representation: the latent space; only its sizes matter here.
        symmetry: taken for a uniform call; nothing is imposed.
        width: channels at full resolution; the three coarser levels have 2, 3 and 3 times as many.

    Raises:
        ValueError: if the image is too small for three halvings.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.trivial(),
        width: int = 32,
    ):
        super().__init__()
        check_plain_size(image_size, channels, width)
        self.representation = representation
        self.symmetry = symmetry
        sizes = _level_sizes(image_size)
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
        if self.representation.position:
            loc = torch.cat([_PIXELS * loc[:, :2], loc[:, 2:]], dim=1)
        return GaussianPosterior(self.representation, loc, log_scale)


class PlainDecoder(nn.Module):
    """Latents -> images, the mirror image of `PlainEncoder`.

    Args:
        image_size, channels, representation, symmetry, width: as for the encoder.

    Raises:
        ValueError: if the image is too small for three halvings.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.trivial(),
        width: int = 32,
    ):
        super().__init__()
        check_plain_size(image_size, channels, width)
        self.representation = representation
        self.symmetry = symmetry
        sizes = _level_sizes(image_size)
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
        self.to(memory_format=torch.channels_last)

    @property
    def last(self) -> nn.Conv2d:
        """The layer that writes the image."""
        return self.trunk[-1]

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) from latents (B, D)."""
        if self.representation.position:
            z = torch.cat([z[:, :2] / _PIXELS, z[:, 2:]], dim=1)
        return self.trunk(self.head(z))


def _level_sizes(image_size: int) -> list[int]:
    """Sides of the four levels: a 3x3 convolution of stride 2 makes (n + 1) // 2 of n."""
    sizes = [image_size]
    for _ in range(3):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def _normed(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels), nn.SiLU()
