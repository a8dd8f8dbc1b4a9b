"""How to test equivariance: scenes that move exactly, laws, and layers that break them (`controls`)."""

from eqvae.metrics.equivariance.norms import latent_error
from eqvae.testing import controls
from eqvae.testing.gabors import GaborScenes
from eqvae.testing.laws import assert_equivariant, quarter_turns, relative_error
from eqvae.testing.scenes import GaussianScenes

__all__ = [
    "GaborScenes",
    "GaussianScenes",
    "assert_equivariant",
    "controls",
    "latent_error",
    "quarter_turns",
    "relative_error",
]
