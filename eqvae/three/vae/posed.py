"""Content and pose in one latent of space: z = (t, 0e, 0o, u_1, u_2), the first two columns of R.

The columns are vectors, 1o: they turn with the structure and change sign under the inversion, while the third
one, u_1 x u_2, does not. That is how the pose of a template moves whose mirror image is its reflection in z,
so that the latent is a representation of E(3) as it stands: rho(g) z is the latent of g x.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.content_and_pose import ContentAndPose
from eqvae.symmetry.space import parity_of, rotation_part
from eqvae.symmetry.space_motions import space_motion, translation_of, turn_of
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.vae.matrix_fisher import proper_svd
from eqvae.three.vae.pose import SpacePosePosterior


@dataclass(frozen=True)
class SpacePosedPosterior(ContentAndPose):
    """q(c, g | x) = q(c | x) q(g | x): content, handedness among it, and pose.

    Densities are with respect to dc dt and the Haar measure of the rotation.

    Attributes:
        representation: of the latent.
        content: q(c | x) of 0e, then 0o.
        pose: q(g | x).
        cluster: log p(k | x) of the kinds that the prior knows, (B, K), or None.
    """

    representation: SpaceRepresentation
    content: ContentPosterior
    pose: SpacePosePosterior

    @property
    def position_scale(self) -> Tensor:
        return self.pose.shift_scale[:, None].expand(-1, 3)

    def joined(self, content: Tensor, g: Tensor) -> Tensor:
        return to_latent(self.representation, content, g)

    def parted(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return from_latent(self.representation, z)

    def act(self, g: Tensor) -> "SpacePosedPosterior":
        loc = self.content.loc
        sign = handed_signs(self.representation).to(loc)
        flip = 1 - parity_of(g).to(loc)[:, None] * (1 - sign)
        return replace(self, content=replace(self.content, loc=loc * flip), pose=self.pose.act(g))


def handed_signs(representation: SpaceRepresentation) -> Tensor:
    """What the inversion multiplies content with: 1 for 0e, -1 for 0o, (m,)."""
    copies = representation.multiplicities
    return torch.tensor([1.0] * copies.get("0e", 0) + [-1.0] * copies.get("0o", 0))


def to_latent(representation: SpaceRepresentation, content: Tensor, g: Tensor) -> Tensor:
    """z from content (B, m) and poses (B, 8) without inversion, (B, D)."""
    columns = rotation_part(turn_of(g)).mT[:, :2].flatten(1).to(content)
    return torch.cat([translation_of(g).to(content), content, columns], dim=1)


def from_latent(representation: SpaceRepresentation, z: Tensor) -> tuple[Tensor, Tensor]:
    """Content (B, m) and poses (B, 8) of latents (B, D), the two vectors made orthonormal."""
    parts = representation.slices
    content = z[:, parts.position.stop : parts.frame.start]
    first, second = z[:, parts.frame].unflatten(1, (2, 3)).unbind(dim=1)
    a = torch.nn.functional.normalize(first, dim=1)
    b = torch.nn.functional.normalize(second - (second * a).sum(1, keepdim=True) * a, dim=1)
    turn = torch.stack([a, b, torch.linalg.cross(a, b)], dim=2)
    return content, space_motion(proper(turn), z[:, parts.position])


def proper(turn: Tensor) -> Tensor:
    """The nearest rotations: what rounding left of them, and the identity where vectors were parallel."""
    return proper_svd(turn.double()).mode.to(turn)


def check_space(representation: SpaceRepresentation) -> None:
    """Refuse latents that motions of space don't act on.

    Raises:
        ValueError: if it is no representation of them.
    """
    if not isinstance(representation, SpaceRepresentation):
        raise ValueError(
            f"representation must be of space; got {representation}, of the plane. Set latent=space."
        )


def check_posed(representation: SpaceRepresentation) -> None:
    """Refuse latents that are not content and one pose.

    Raises:
        ValueError: if the latent is not position, 0e, 0o if any, and two copies of 1o, in this order.
    """
    check_space(representation)
    copies = representation.multiplicities
    names = [block.name for block in representation.blocks]
    ordered = names == [n for n in ("position", "0e", "0o", "1o") if n in names]
    if not representation.position or not copies.get("0e") or copies.get("1o") != 2 or not ordered:
        raise ValueError(
            f"representation must be position, content 0e, handedness 0o if any, and the pose as 2x1o; got "
            f"{representation}. Choose latent=space, or such as 'position + 8x0e + 2x0o + 2x1o'."
        )
