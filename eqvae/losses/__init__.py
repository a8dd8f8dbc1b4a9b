"""Objectives: the ELBO, soft equivariance and their schedules."""

from eqvae.losses.augment import AugmentedObjective
from eqvae.losses.clusters import ClusterPenalty
from eqvae.losses.departure import DeparturePenalty, FixedPrecision, GammaPrecision, dials
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
from eqvae.losses.schedules import Constant, Cyclic, WarmUp

__all__ = [
    "AugmentedObjective",
    "ClusterPenalty",
    "Constant",
    "Cyclic",
    "DecoderPenalty",
    "DeparturePenalty",
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
