"""The prior of a posed latent of space: p(c), Haar on rotations, a wide Gaussian on shifts."""

import math

import torch
from torch import Tensor, nn

from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.priors import ContentPrior, NormalContent
from eqvae.symmetry.space_motions import SpaceMotions, space_motion, translation_of
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.vae.posed import check_posed, from_latent, handed_signs, to_latent


class SpacePosedPrior(nn.Module):
    """p(c) Haar(R) N(t; 0, position_scale^2).

    Args:
        representation: of the latent.
        position_scale: standard deviation of the shift, Angstrom; cover what your data have.
        content: p(c); None for N(0, I).

    Raises:
        ValueError: if position_scale is not positive.
    """

    blocks = ("content", "pose")
    rounds = 0  # of `Model.settle` that make its samples better
    frames = None

    def __init__(
        self,
        representation: SpaceRepresentation,
        position_scale: float = 20.0,
        content: ContentPrior | None = None,
    ):
        super().__init__()
        check_posed(representation)
        if not position_scale > 0 or not math.isfinite(position_scale):
            raise ValueError(f"position_scale must be positive (Angstrom); got {position_scale}.")
        self.representation = representation
        self.position_scale = position_scale
        size = len(handed_signs(representation))
        self.content = NormalContent(size) if content is None else content

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        content = self.content.sample(n, generator)
        turns = SpaceMotions().linear.sample(n, generator=generator)
        shifts = self.position_scale * torch.randn(n, 3, generator=generator)
        return to_latent(self.representation, content, space_motion(turns, shifts).to(content))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats by dc dt and Haar measure, (B,)."""
        content, g = from_latent(self.representation, z)
        t = translation_of(g)
        scale = torch.full_like(t, self.position_scale)
        return self.content.log_prob(content) + normal_log_prob(t, 0 * t, scale).sum(dim=1)

    def knows_kinds(self, groups: int | None = None) -> bool:
        return False
