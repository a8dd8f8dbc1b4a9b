"""Layers between feature fields that keep a symmetry, to be put into networks as parts.

Each is built for the fields that come in, `Layer(field_type, size)`, refuses what would break the symmetry,
and says of itself what comes out. They are handed to `SteerableEncoder` and `SteerableDecoder` as
constructors that wait for the fields. Their counterparts that break it are in `eqvae.testing.controls`.
"""

from eqvae.nn.fields.downsample import GaussianDownsample
from eqvae.nn.fields.dropout import FibreDropout, FieldDropout
from eqvae.nn.fields.layer import FieldLayer, LayerPart
from eqvae.nn.fields.orientations import (
    MaxOverOrientations,
    MeanOverOrientations,
    NormOverOrientations,
)
from eqvae.nn.fields.pooling import MaxPool, NormMaxPool

__all__ = [
    "FibreDropout",
    "FieldDropout",
    "FieldLayer",
    "GaussianDownsample",
    "LayerPart",
    "MaxOverOrientations",
    "MaxPool",
    "MeanOverOrientations",
    "NormMaxPool",
    "NormOverOrientations",
]
