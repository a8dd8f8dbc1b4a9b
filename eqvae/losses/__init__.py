"""Objectives: the ELBO, soft equivariance and their schedules."""

from eqvae.losses.augment import AugmentedObjective
from eqvae.losses.clusters import ClusterPenalty
from eqvae.losses.elbo import elbo_terms
from eqvae.losses.equivariance import (
    DecoderPenalty,
    EncoderPenalty,
    EquivariancePenalty,
    PosteriorPenalty,
    RoundTripPenalty,
)
from eqvae.losses.lie import LiePenalty
from eqvae.losses.objective import Objective, Penalty
from eqvae.losses.residual import FixedPrecision, GammaPrecision, ResidualPenalty, dials
from eqvae.losses.schedules import Constant, Cyclic, WarmUp

__all__ = [
    "AugmentedObjective",
    "ClusterPenalty",
    "Constant",
    "Cyclic",
    "DecoderPenalty",
    "ResidualPenalty",
    "EncoderPenalty",
    "EquivariancePenalty",
    "FixedPrecision",
    "GammaPrecision",
    "LiePenalty",
    "Objective",
    "Penalty",
    "PosteriorPenalty",
    "RoundTripPenalty",
    "WarmUp",
    "dials",
    "elbo_terms",
]
