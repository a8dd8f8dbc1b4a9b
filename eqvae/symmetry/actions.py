"""How a motion of an image may be said to move its latent: by the latent's own representation, or by another.

Each is a representation of SE(2), (representation, g (B, E), z (B, D)) -> (B, D).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.motions import angle_of, with_angle
from eqvae.symmetry.representations import Representation


class LatentAction(ABC):
    """What `g z` means for latents z = (t, v)."""

    @abstractmethod
    def __call__(self, representation: Representation, g: Tensor, z: Tensor) -> Tensor:
        """Latents (B, D) moved by motions (B, E)."""


@dataclass(frozen=True)
class OwnAction(LatentAction):
    """rho(g) z."""

    def __call__(self, representation: Representation, g: Tensor, z: Tensor) -> Tensor:
        return representation.act(g, z)


@dataclass(frozen=True)
class FasterAction(LatentAction):
    """t as g moves it, and v as a turn by `times` the angle: psi_l turns `times` l times as fast.

    No latent of an object without that symmetry can obey it: a turn by 2 pi / times must change nothing of v,
    and so the object's image and its turned image share it.

    Raises:
        ValueError: if `times` is no whole number of at least 2.
    """

    times: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or self.times < 2:
            raise ValueError(
                f"times must be a whole number, at least 2; got {self.times!r}. For 1 use OwnAction."
            )

    def __call__(self, representation: Representation, g: Tensor, z: Tensor) -> Tensor:
        position, vector = representation.slices.position, representation.slices.vector
        turned = representation.act(with_angle(g, self.times * angle_of(g)), z)[:, vector]
        return torch.cat([representation.act(g, z)[:, position], turned], dim=1)
