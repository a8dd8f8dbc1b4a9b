"""Where the object is: equivariant positions t(g x) = g t(x), in pixels from the image centre."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.nn.blurs import blurs_on, frame_of


class CentreOfMass(nn.Module):
    """t = sum_p p x(p) / sum_p x(p): right wherever the background is black.

    Args:
        domain: of the images.
        channels: of the images; their mean is taken.
    """

    def __init__(self, domain: SquareGrid | HexagonalGrid, channels: int = 1):
        super().__init__()
        self.register_buffer("points", domain.points(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Positions (B, 2) of images (B, C, H, H)."""
        return centroid(x.mean(dim=1).clamp_min(0), self.points)


class ImageCentre(nn.Module):
    """t = 0: objects that were centred by whoever picked them; a search about it finds the rest.

    Args:
        domain, channels: as of the others, unused.
    """

    def __init__(self, domain: SquareGrid | HexagonalGrid | None = None, channels: int = 1):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Positions (B, 2) of images (B, C, H, H)."""
        return x.new_zeros(x.shape[0], 2)


class Localiser(nn.Module):
    """Centroid of a learned heat map m(p) >= 0 made of isotropic filters.

    Differences of Gaussian blurs do not see a constant background, once the mean beyond the inscribed
    disc is taken off (else the border would show); an MLP at every pixel weighs their squares, so that
    m = sum_i d_i(p)^2 w_i(d(p)), w_i > 0, vanishes where nothing is.

    Args:
        domain: of the images.
        channels: of the images.
        scales: standard deviations of the blurs, pixels, increasing.
        hidden: width of the MLP at every pixel.
    """

    def __init__(
        self,
        domain: SquareGrid | HexagonalGrid,
        channels: int = 1,
        scales: tuple[float, ...] = (1.5, 3.0, 6.0),
        hidden: int = 4,
    ):
        super().__init__()
        outside = (frame_of(domain) - domain.mask()).to(domain.points())
        self.register_buffer("outside", outside / outside.sum(), persistent=False)
        self.blurs = blurs_on(domain, scales)
        features = (len(scales) - 1) * channels
        self.weigh = nn.Sequential(
            nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, features)
        )

    @property
    def points(self) -> Tensor:
        """Where the heat map is, (H', H', 2)."""
        return self.blurs.points

    def forward(self, x: Tensor) -> Tensor:
        """Positions (B, 2) of images (B, C, H, H)."""
        x = x - torch.einsum("bchw,hw->bc", x, self.outside)[:, :, None, None]
        blurred = self.blurs(x)  # (B, C, S, H', H')
        band = (blurred[:, :, :-1] - blurred[:, :, 1:]).flatten(1, 2).movedim(1, -1)
        heat = (band.square() * F.softplus(self.weigh(band))).sum(dim=-1)
        return centroid(heat, self.points)


def centroid(heat: Tensor, points: Tensor) -> Tensor:
    """Mean position (B, 2) under a non-negative map (B, H, W); the centre for an empty one."""
    mass = heat.sum(dim=(1, 2))
    first = torch.einsum("bhw,hwk->bk", heat, points)
    return first / mass.clamp_min(1e-6)[:, None]
