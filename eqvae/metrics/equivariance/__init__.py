"""Equivariance: relative errors by motion, Lie derivatives, a table of layers, and an audit of a model."""

from eqvae.metrics.equivariance.audit import AuditResult, SymmetryAudit
from eqvae.metrics.equivariance.errors import (
    Errors,
    angle_sweep,
    band_limited,
    compare,
    decibel_score,
    decibels,
    decoder_errors,
    elbo_change,
    encoder_errors,
    equivariance_errors,
    keep,
    latent_error,
    resampling_errors,
    resampling_floor,
    round_trip_errors,
    subpixel_shifts,
)
from eqvae.metrics.equivariance.layers import FieldAction, InvariantAction, LayerRow, layer_table
from eqvae.metrics.equivariance.lie import ImageAction, LieDerivative, lie_derivative, lie_scores

__all__ = [
    "AuditResult",
    "Errors",
    "FieldAction",
    "ImageAction",
    "InvariantAction",
    "LayerRow",
    "LieDerivative",
    "SymmetryAudit",
    "angle_sweep",
    "band_limited",
    "compare",
    "decibel_score",
    "decibels",
    "decoder_errors",
    "elbo_change",
    "encoder_errors",
    "equivariance_errors",
    "keep",
    "latent_error",
    "layer_table",
    "lie_derivative",
    "lie_scores",
    "resampling_errors",
    "resampling_floor",
    "round_trip_errors",
    "subpixel_shifts",
]
