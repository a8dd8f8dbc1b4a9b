"""Likelihood: ELBO and KL by block, importance-weighted bounds, bits per dimension, active units."""

from eqvae.metrics.likelihood.elbo import active_units, bits_per_dim, elbo_terms, kl_by_block
from eqvae.metrics.likelihood.haar import density_on_haar, log_haar_uniform, log_von_mises
from eqvae.metrics.likelihood.importance import (
    BoundEstimate,
    ImportanceWeightedBound,
    StreamingLogMeanExp,
    estimate_bound,
    importance_weighted_bound,
)
from eqvae.metrics.likelihood.linear_gaussian import LinearGaussian

__all__ = [
    "BoundEstimate",
    "ImportanceWeightedBound",
    "LinearGaussian",
    "StreamingLogMeanExp",
    "active_units",
    "bits_per_dim",
    "density_on_haar",
    "elbo_terms",
    "estimate_bound",
    "importance_weighted_bound",
    "kl_by_block",
    "log_haar_uniform",
    "log_von_mises",
]
