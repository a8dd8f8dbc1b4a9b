"""Priors whose objects lie on the orbits of a group, fitted to the latents of a trained model."""

from eqvae.distributions.orbit.content import (
    OrbitContent,
    OrbitPosedPrior,
    TemplateFrames,
    Templates,
)
from eqvae.distributions.orbit.fit import OrbitFit
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.distributions.orbit.prior import OrbitPrior
from eqvae.distributions.orbit.reader import OrbitReader

__all__ = [
    "Latents",
    "OrbitContent",
    "OrbitFit",
    "OrbitMixture",
    "OrbitPosedPrior",
    "OrbitPrior",
    "OrbitReader",
    "TemplateFrames",
    "Templates",
]
