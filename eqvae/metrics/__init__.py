"""Measures of equivariance."""

from eqvae.metrics.equivariance import (
    angle_sweep,
    decibels,
    decoder_errors,
    elbo_change,
    encoder_errors,
    latent_error,
    resampling_floor,
    round_trip_errors,
    subpixel_shifts,
)

__all__ = [
    "angle_sweep",
    "decibels",
    "decoder_errors",
    "elbo_change",
    "encoder_errors",
    "latent_error",
    "resampling_floor",
    "round_trip_errors",
    "subpixel_shifts",
]
