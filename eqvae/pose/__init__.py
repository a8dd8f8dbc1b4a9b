"""Pose: the position and angle that a latent carries, and laws over directions."""

from eqvae.pose.direction import DirectionPosterior
from eqvae.pose.frame import Pose, read_content, read_pose
from eqvae.pose.posterior import ContentPosterior, PosedPosterior, PosePosterior

__all__ = [
    "ContentPosterior",
    "DirectionPosterior",
    "Pose",
    "PosePosterior",
    "PosedPosterior",
    "read_content",
    "read_pose",
]
