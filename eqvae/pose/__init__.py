"""Pose: the position and angle that a latent carries, and laws over directions."""

from eqvae.distributions.frame import Pose, read_content, read_pose
from eqvae.distributions.pose import ContentPosterior, PosedPosterior, PosePosterior
from eqvae.pose.direction import DirectionPosterior

__all__ = [
    "ContentPosterior",
    "DirectionPosterior",
    "Pose",
    "PosePosterior",
    "PosedPosterior",
    "read_content",
    "read_pose",
]
