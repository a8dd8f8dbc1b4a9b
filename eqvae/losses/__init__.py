"""Objectives: the ELBO, soft equivariance and their schedules."""

from eqvae.losses.clusters import ClusterPenalty
from eqvae.losses.elbo import elbo_terms
from eqvae.losses.equivariance import (
    DecoderPenalty,
    EncoderPenalty,
    EquivariancePenalty,
    PosteriorPenalty,
    RoundTripPenalty,
)
from eqvae.losses.objective import Objective, Penalty
from eqvae.losses.schedules import Constant, Cyclic, WarmUp

__all__ = [
    "ClusterPenalty",
    "Constant",
    "Cyclic",
    "DecoderPenalty",
    "EncoderPenalty",
    "EquivariancePenalty",
    "Objective",
    "Penalty",
    "PosteriorPenalty",
    "RoundTripPenalty",
    "WarmUp",
    "elbo_terms",
]
