"""Networks: plain, steerable, harmonic. GeometricTensor never leaves this folder."""

from eqvae.nn.harmonic import HarmonicDecoder, HarmonicEncoder
from eqvae.nn.localise import CentreOfMass, Localiser

__all__ = [
    "CentreOfMass",
    "HarmonicDecoder",
    "HarmonicEncoder",
    "Localiser",
]
