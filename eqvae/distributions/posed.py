"""The posterior of content and pose together, and how both stand in one latent."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.content_and_pose import ContentAndPose
from eqvae.distributions.pose import PosePosterior
from eqvae.symmetry.motions import angle_of, log_scale_of, motion, reflection_of, shift_of
from eqvae.symmetry.representations import Representation


@dataclass(frozen=True)
class PosedPosterior(ContentAndPose):
    """q(c, g | x) = q(c | x) q(g | x): content and pose, in the coordinates of a latent.

    A latent z = (t, [s,] c, [handedness,] u) holds the angle as a unit vector u in psi_1, and s is the
    log-scale. Densities are with respect to dt ds dc and the Haar measure of the angle.

    Attributes:
        representation: of the latent.
        content: q(c | x).
        pose: q(g | x).
        cluster: log p(k | x) of the kinds that the prior knows, (B, K), or None.
    """

    representation: Representation
    content: ContentPosterior
    pose: PosePosterior

    @property
    def position_scale(self) -> Tensor:
        return self.pose.position_scale

    def joined(self, content: Tensor, g: Tensor) -> Tensor:
        return to_latent(self.representation, content, g)

    def parted(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return from_latent(self.representation, z)

    def condensed(self) -> "PosedPosterior":
        """With the likeliest pose alone in place of all bins."""
        mode = self.pose.mode[:, None]
        sure = torch.zeros_like(self.pose.log_weights[:, :1])
        return replace(self, pose=replace(self.pose, bins=mode, log_weights=sure))

    def act(self, g: Tensor) -> "PosedPosterior":
        return replace(self, pose=self.pose.act(g))


def to_latent(representation: Representation, content: Tensor, g: Tensor) -> Tensor:
    """z = (t, [s,] c, [handedness,] cos angle, sin angle) from content (B, m_0) and motions (B, 4 or 5)."""
    size, angle = [log_scale_of(g)[:, None]] if representation.scale else [], angle_of(g)[:, None]
    parts = [shift_of(g), *size, content]
    if representation.sign:
        parts.append(1 - 2 * reflection_of(g)[:, None])
    return torch.cat([*parts, angle.cos(), angle.sin()], dim=1)


def from_latent(representation: Representation, z: Tensor) -> tuple[Tensor, Tensor]:
    """Content (B, m_0) and motions (B, 4), or (B, 5) of a latent with a scale, of latents (B, D)."""
    parts = representation.slices
    re, im = z[:, parts.frame].unbind(dim=1)
    mirror = (z[:, parts.sign] < 0).sum(dim=1)  # one sign copy or none: no mirror
    angle = torch.atan2(im, re)
    size = z[:, parts.scale.start] if representation.scale else None
    g = motion(angle, z[:, parts.position], mirror, log_scale=size, dtype=z.dtype)
    return z[:, parts.content], g


def check_pose_latent(representation: Representation, reflections: bool) -> None:
    """Refuse latents that are not content and one pose.

    Raises:
        ValueError: if the latent is not position, psi_0, one psi_1 and, with reflections, one sign.
    """
    m = representation.multiplicities
    wanted = len(m) == 2 and m[0] >= 1 and m[1] == 1 and representation.position
    if not wanted or representation.sign != int(reflections):
        raise ValueError(
            f"representation must be a position, content and one frame, multiplicities=[m, 1] with "
            f"sign={int(reflections)}; got multiplicities={list(m)}, sign={representation.sign}, "
            f"position={representation.position}. Choose latent=pose"
            f"{' and set latent.sign=1' if reflections else ''}."
        )
