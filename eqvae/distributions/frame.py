"""Pose and content read from a latent: a position, an angle, and what is left when both are undone.

The copies of psi_1 turn with the object, so their weighted sum u is a frame: theta = atan2(u_y, u_x),
with theta(g z) = theta(z) + angle(g). Content is v steered back, rho(-theta) v: invariant under
rotations and shifts, and complete, since v = rho(theta) content. Where u = 0 the object has no
direction (it is symmetric, or the model found none); |u| says how far to trust the angle.

Reference: Kaba et al., Equivariance with learned canonicalization functions (2023),
https://arxiv.org/abs/2211.06489, section 3, for frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.posterior import Posterior
from eqvae.symmetry.motions import inverse, motion
from eqvae.symmetry.representations import Representation


@dataclass(frozen=True)
class Pose:
    """Where objects are and which way they point.

    Attributes:
        motion: [reflection = 0, angle, x, y], (B, 4), radians and pixels.
        certainty: |u| >= 0, length of the frame vector, (B,); 0 means that there is no direction.
    """

    motion: Tensor
    certainty: Tensor


def read_pose(representation: Representation, z: Tensor, copy: int | None = None) -> Pose:
    """The pose of latents (B, D): position, log-scale if the latent has one, and the angle of psi_1.

    Args:
        representation: the latent space.
        z: latents, (B, D).
        copy: which copy of psi_1 is the frame; None takes the first.

    Raises:
        ValueError: if the latent has no psi_1, or not so many copies.
    """
    parts = representation.slices
    u = z[:, representation.frame_columns(0 if copy is None else copy)]
    angle = torch.atan2(u[:, 1], u[:, 0])
    position = z[:, parts.position] if representation.position else torch.zeros_like(u)
    size = z[:, parts.scale].squeeze(1) if representation.scale else None
    g = motion(angle, position, log_scale=size, dtype=z.dtype)
    return Pose(motion=g, certainty=u.norm(dim=1))


def read_content(representation: Representation, z: Tensor, copy: int | None = None) -> Tensor:
    """v with the pose undone, rho(-theta) v, (B, D - 2): equal for one object in any pose.

    Args and errors as for `read_pose`.
    """
    pose = read_pose(representation, z, copy)
    still = representation.act(inverse(pose.motion), z)
    return still[:, representation.slices.vector]


def clearest_frame(q: Posterior) -> int:
    """The copy of psi_1 with the largest mean |loc| / scale: a collapsed copy has no direction."""
    latent = q.representation
    if latent.num_frames == 1:
        return 0
    part = latent.slices.frame
    length = q.mode[:, part].unflatten(1, (-1, 2)).norm(dim=2)
    return int((length / q.scale[:, part][:, ::2]).mean(dim=0).argmax())
