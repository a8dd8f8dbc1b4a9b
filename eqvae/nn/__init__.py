"""Networks: plain, steerable, harmonic, and those between hard and none: relaxed, projected, canonical.

GeometricTensor never leaves this folder.
"""

from eqvae.nn.canonical import CanonicalDecoder, CanonicalEncoder, Canonicaliser
from eqvae.nn.fields import (
    FibreDropout,
    FieldDropout,
    GaussianDownsample,
    MaxOverOrientations,
    MaxPool,
    MeanOverOrientations,
    NormMaxPool,
    NormOverOrientations,
)
from eqvae.nn.harmonic import HarmonicDecoder, HarmonicEncoder
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.localise import CentreOfMass, ImageCentre, Localiser
from eqvae.nn.log_polar import LogPolarConv
from eqvae.nn.paths import RelaxedDecoder, RelaxedEncoder
from eqvae.nn.plain import PlainDecoder, PlainEncoder
from eqvae.nn.projected import DenseFibreLinear
from eqvae.nn.relaxed import (
    BiasedFibreLinear,
    RelaxedFibreLinear,
    RelaxedHarmonicDecoder,
    RelaxedHarmonicEncoder,
)
from eqvae.nn.steerable import SteerableDecoder, SteerableEncoder

__all__ = [
    "BiasedFibreLinear",
    "CanonicalDecoder",
    "CanonicalEncoder",
    "Canonicaliser",
    "CentreOfMass",
    "DenseFibreLinear",
    "DiskHarmonics",
    "FibreDropout",
    "FieldDropout",
    "GaussianDownsample",
    "HarmonicDecoder",
    "HarmonicEncoder",
    "ImageCentre",
    "Localiser",
    "MaxOverOrientations",
    "MaxPool",
    "MeanOverOrientations",
    "NormMaxPool",
    "NormOverOrientations",
    "LogPolarConv",
    "PlainDecoder",
    "PlainEncoder",
    "RelaxedDecoder",
    "RelaxedEncoder",
    "RelaxedFibreLinear",
    "RelaxedHarmonicDecoder",
    "RelaxedHarmonicEncoder",
    "SteerableDecoder",
    "SteerableEncoder",
]
