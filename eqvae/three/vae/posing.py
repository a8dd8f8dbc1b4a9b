"""Which motion each structure is given once, before training, so that its true pose is known."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space_motions import SpaceMotions


class SpacePosing(ABC):
    """A distribution from which one motion of SE(3) is drawn for each structure.

    Attributes:
        seed: of the draws; the same seed gives the same motions.
    """

    seed: int

    @abstractmethod
    def draw(self, n: int) -> Tensor:
        """Motions of n structures, (n, 8), the same at every call."""


@dataclass(frozen=True)
class Still(SpacePosing):
    """Structures as the source gives them."""

    seed: int = 0

    def draw(self, n: int) -> Tensor:
        return SpaceMotions().identity(n)


@dataclass(frozen=True)
class Moved(SpacePosing):
    """Every rotation alike, and shifts uniform in a ball.

    Args:
        shift: radius of the ball, Angstrom.
        seed: of the draws.

    Raises:
        ValueError: if shift is negative.
    """

    shift: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shift >= 0:
            raise ValueError(f"shift must be 0 or more (Angstrom); got {self.shift}.")

    def draw(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return SpaceMotions().sample(n, shift=self.shift, generator=generator)
