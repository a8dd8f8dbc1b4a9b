"""Likelihood: ELBO and KL by block, importance-weighted bounds, bits per dimension, active units."""

from eqvae.metrics.likelihood.active_units import active_units
from eqvae.metrics.likelihood.elbo import bits_per_dim, elbo_scores, kl_by_block
from eqvae.metrics.likelihood.importance import ImportanceWeightedBound, importance_weighted_bound
from eqvae.metrics.likelihood.linear_gaussian import LinearGaussian
from eqvae.metrics.likelihood.streaming import BoundEstimate, StreamingLogMeanExp, estimate_bound

__all__ = [
    "BoundEstimate",
    "ImportanceWeightedBound",
    "LinearGaussian",
    "StreamingLogMeanExp",
    "active_units",
    "bits_per_dim",
    "elbo_scores",
    "estimate_bound",
    "importance_weighted_bound",
    "kl_by_block",
]
