"""Pose: the position and angle that a latent carries, and laws over directions."""

from eqvae.pose.direction import DirectionPosterior
from eqvae.pose.frame import Pose, read_content, read_pose

__all__ = ["DirectionPosterior", "Pose", "read_content", "read_pose"]
