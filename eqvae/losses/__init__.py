"""Objectives: the ELBO, soft equivariance and their schedules."""

from eqvae.losses.augment import AugmentedObjective
from eqvae.losses.clusters import ClusterPenalty
from eqvae.losses.contest import gradient_cosines
from eqvae.losses.elbo import batch_means
from eqvae.losses.equivariance import (
    DecoderPenalty,
    EncoderPenalty,
    EquivariancePenalty,
    PosteriorPenalty,
    RoundTripPenalty,
)
from eqvae.losses.lie import LiePenalty
from eqvae.losses.mask import MaskPenalty
from eqvae.losses.objective import Objective, Penalty
from eqvae.losses.residual import FixedPrecision, GammaPrecision, ResidualPenalty, dials
from eqvae.losses.schedules import Constant, Cyclic, WarmUp
from eqvae.losses.term import PenaltyTerm

__all__ = [
    "AugmentedObjective",
    "ClusterPenalty",
    "Constant",
    "Cyclic",
    "DecoderPenalty",
    "EncoderPenalty",
    "EquivariancePenalty",
    "FixedPrecision",
    "GammaPrecision",
    "LiePenalty",
    "MaskPenalty",
    "Objective",
    "Penalty",
    "PenaltyTerm",
    "PosteriorPenalty",
    "ResidualPenalty",
    "RoundTripPenalty",
    "WarmUp",
    "batch_means",
    "dials",
    "gradient_cosines",
]
