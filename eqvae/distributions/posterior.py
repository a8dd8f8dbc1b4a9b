"""What every posterior of a latent offers, whatever its form."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.pose import PosePosterior
from eqvae.symmetry.representations import Representation


class Posterior(ABC):
    """q(z | x) for a batch of images; of an equivariant encoder q(z | g x) = g q(z | x).

    Attributes:
        representation: of the latent.
        content: q of what no motion changes.
        pose: q of the motion that brings the object where the image shows it.
        cluster: log p(k | x) of the kinds that the model knows, (B, K), or None.
    """

    representation: Representation
    content: ContentPosterior
    pose: PosePosterior
    cluster: Tensor | None

    @property
    def has_pose(self) -> bool:
        """Whether an angle can be read."""
        return True

    @property
    def shows_symmetry(self) -> bool:
        """Whether the pose can have several modes, as that of a symmetric object has."""
        return True

    def condensed(self) -> "Posterior":
        """The same for many images in little memory: what a prior is fitted to."""
        return self

    def settled(self, q: "Posterior | None" = None) -> "Posterior":
        """The same posterior, with what is chosen by looking at many of them chosen by q, or by itself."""
        return self

    @property
    @abstractmethod
    def mode(self) -> Tensor:
        """The likeliest latents, (B, D)."""

    @property
    def z(self) -> Tensor:
        """The latents that stand for the images: the mode, (B, D)."""
        return self.mode

    @abstractmethod
    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw, (B, D), reparameterised where that is possible."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x) in nats, (B,)."""

    @abstractmethod
    def act(self, g: Tensor) -> "Posterior":
        """The distribution of g . z for z ~ q, motions (B, 4)."""

    @property
    @abstractmethod
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y, pixels, (B, 2)."""

    def angle_log_density(self, points: int = 360) -> Tensor:
        """log q of the angle on the grid 2 pi j / points, nats by Haar measure, float64, (B, points)."""
        return self.pose.angle_log_density(points)
