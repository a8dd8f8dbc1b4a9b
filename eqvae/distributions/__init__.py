"""Distributions: posteriors, priors and likelihoods of latents, contents and poses."""

from eqvae.distributions.gaussian import (
    START_LOG_SCALE,
    BernoulliLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
    GaussianPrior,
    bounded,
    concatenated,
    normal_log_prob,
    rows_of,
    to_device,
)

__all__ = [
    "START_LOG_SCALE",
    "BernoulliLikelihood",
    "GaussianLikelihood",
    "GaussianPosterior",
    "GaussianPrior",
    "bounded",
    "concatenated",
    "normal_log_prob",
    "rows_of",
    "to_device",
]
