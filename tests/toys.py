"""A VAE in closed form that is equivariant to rounding, to hold losses and metrics against.

encoder: t = centre of mass, psi0 = log mass, psi1 = third moment <|d|^2 d> about t
decoder: D(z)(p) = exp(psi0 - |p - t|^2 / 2 s^2) (1 + psi1 . (p - t) / s)
"""

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianLikelihood, GaussianPosterior, GaussianPrior
from eqvae.domains import SquareGrid, pixel_coordinates
from eqvae.models.vae import VAE
from eqvae.symmetry import PlaneMotions, Representation

LATENT = Representation((1, 1))


class MomentEncoder(nn.Module):
    """Moments of the image; `bias` is added to t and breaks the law."""

    def __init__(self, size: int, bias: float = 0.0):
        super().__init__()
        self.representation, self.symmetry = LATENT, PlaneMotions.o2()
        self.register_buffer("points", pixel_coordinates(size, size).reshape(-1, 2))
        self.bias = nn.Parameter(torch.tensor(bias))
        self.factor = nn.Parameter(torch.tensor(1.0))  # of v

    def forward(self, x: Tensor) -> GaussianPosterior:
        weight = x.mean(dim=1).flatten(1)
        mass = weight.sum(dim=1, keepdim=True)
        t = weight @ self.points / mass
        offset = self.points - t[:, None]
        cubic = offset * offset.square().sum(dim=2, keepdim=True)
        third = torch.einsum("bp,bpk->bk", weight, cubic) / mass / 100
        v = self.factor * torch.cat([mass.log() - 4, third], dim=1)
        log_scale = torch.full((len(x), LATENT.num_copies), -1.0).to(x)
        return GaussianPosterior(LATENT, torch.cat([t + self.bias, v], dim=1), log_scale)


class BlobDecoder(nn.Module):
    """A Gaussian with a slope; `bias` is added to its place and breaks the law."""

    def __init__(self, size: int, bias: float = 0.0, width: float = 3.0):
        super().__init__()
        self.representation, self.symmetry = LATENT, PlaneMotions.o2()
        self.register_buffer("points", pixel_coordinates(size, size).reshape(1, -1, 2))
        self.size, self.width = size, width
        self.domain, self.channels = SquareGrid(size), 1
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, z: Tensor) -> Tensor:
        images = self._draw(z, self.points.expand(len(z), -1, -1))
        return images.reshape(len(z), 1, self.size, self.size)

    def _draw(self, z: Tensor, points: Tensor) -> Tensor:
        offset = (points - z[:, None, :2] - self.bias) / self.width
        slope = 1 + torch.einsum("bk,bpk->bp", z[:, 3:5], offset)
        return (z[:, 2:3] - 0.5 * offset.square().sum(dim=2)).exp() * slope


class RenderingDecoder(BlobDecoder):
    """The same, with its own rendering at any points."""

    def render(self, z: Tensor, points: Tensor) -> Tensor:
        return self._draw(z, points)[:, None]


def toy_vae(size: int, bias: float = 0.0, render: bool = False) -> VAE:
    decoder = (RenderingDecoder if render else BlobDecoder)(size, bias)
    return VAE(MomentEncoder(size, bias), decoder, GaussianPrior(LATENT), GaussianLikelihood())
