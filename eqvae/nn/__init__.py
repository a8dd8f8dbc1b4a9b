"""Networks: plain, steerable, harmonic. GeometricTensor never leaves this folder."""

from eqvae.nn.harmonic import HarmonicDecoder, HarmonicEncoder
from eqvae.nn.localise import CentreOfMass, ImageCentre, Localiser
from eqvae.nn.plain import PlainDecoder, PlainEncoder
from eqvae.nn.steerable import SteerableDecoder, SteerableEncoder

__all__ = [
    "CentreOfMass",
    "HarmonicDecoder",
    "HarmonicEncoder",
    "ImageCentre",
    "Localiser",
    "PlainDecoder",
    "PlainEncoder",
    "SteerableDecoder",
    "SteerableEncoder",
]
