"""Small models to hold penalties against: exactly equivariant, equivariant but for pixels, and not."""

import torch

from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.models.vae import VAE
from eqvae.nn import HarmonicDecoder, HarmonicEncoder, PlainDecoder, PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import basis
from tests.toys import toy_vae

SIZE = 41
LATENT = Representation((4, 2, 1))


def vae(family: str, grey: float = 0.0) -> VAE:
    """A small VAE of a family, the same every time: "toy", "harmonic" (on a ground of some grey), "plain"."""
    torch.manual_seed(0)
    if family == "toy":
        return toy_vae(SIZE)
    if family == "harmonic":
        shared = basis(SIZE, degree=8, radius=10.6), LATENT, PlaneMotions.so2()
        how = {"hidden": 8, "frequency": 3, "background": [grey]}
        encoder = HarmonicEncoder(*shared, **how)
        decoder = HarmonicDecoder(*shared, **how, out_frequency=6)
    else:
        encoder = PlainEncoder(SquareGrid(SIZE), 1, LATENT, PlaneMotions.so2(), width=4)
        decoder = PlainDecoder(SquareGrid(SIZE), 1, LATENT, width=4)
    return VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood())
