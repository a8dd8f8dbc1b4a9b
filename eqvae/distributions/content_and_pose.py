"""Content and pose apart, q(c, g | x) = q(c | x) q(g | x), in the coordinates of one latent."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.posterior import Posterior


@dataclass(frozen=True)
class ContentAndPose(Posterior):
    """What such a posterior is in any latent that holds content and one pose.

    Attributes:
        representation: of the latent.
        content: q(c | x).
        pose: q(g | x).
        cluster: log p(k | x) of the kinds that the prior knows, (B, K), or None.
    """

    representation: Any
    content: ContentPosterior
    pose: Any
    cluster: Tensor | None = None

    @abstractmethod
    def joined(self, content: Tensor, g: Tensor) -> Tensor:
        """Latents (B, D) of contents (B, m) and poses (B, E)."""

    @abstractmethod
    def parted(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Contents and poses of latents."""

    @property
    def mode(self) -> Tensor:
        """Mean content at the likeliest pose, (B, D)."""
        return self.joined(self.content.loc, self.pose.mode)

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        c = self.content.rsample(generator)
        return self.joined(c, self.pose.sample(generator))

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x) in nats, (B,)."""
        content, g = self.parted(z)
        return self.content.log_prob(content) + self.pose.log_prob(g)
