"""Distributions: posteriors, priors and likelihoods of latents, contents and poses."""

from eqvae.distributions.bounds import bounded
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.frame import Pose, read_content, read_pose
from eqvae.distributions.gaussian import START_LOG_SCALE, GaussianPosterior, GaussianPrior
from eqvae.distributions.likelihoods import BernoulliLikelihood, GaussianLikelihood
from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.pose_prior import PosePrior
from eqvae.distributions.posed import PosedPosterior, from_latent, to_latent
from eqvae.distributions.posterior import Posterior
from eqvae.distributions.rows import concatenated, rows_of, to_device

__all__ = [
    "START_LOG_SCALE",
    "BernoulliLikelihood",
    "ContentPosterior",
    "GaussianLikelihood",
    "GaussianPosterior",
    "GaussianPrior",
    "Pose",
    "PosePosterior",
    "PosePrior",
    "PosedPosterior",
    "Posterior",
    "bounded",
    "concatenated",
    "from_latent",
    "normal_log_prob",
    "read_content",
    "read_pose",
    "rows_of",
    "to_device",
    "to_latent",
]
