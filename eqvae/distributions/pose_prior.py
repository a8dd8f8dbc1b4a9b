"""The prior of poses."""

import math
from dataclasses import dataclass

from torch import Tensor

from eqvae.symmetry.motions import shift_of


@dataclass(frozen=True)
class PosePrior:
    """p(g): angles uniform, positions N(0, scale^2 I) about the image centre, both chiralities alike.

    Args:
        position_scale: pixels; cover the shifts in the data. No proper prior is invariant to shifts.
    """

    position_scale: float = 5.0

    def __post_init__(self) -> None:
        if not self.position_scale > 0:
            raise ValueError(
                f"position_scale must be positive (pixels); got {self.position_scale}."
            )

    def log_prob(self, g: Tensor) -> Tensor:
        """log p(g) with respect to the Haar measure of angles and pixels, (...,)."""
        scaled = shift_of(g) / self.position_scale
        constant = math.log(2 * math.pi * self.position_scale**2)
        return -0.5 * scaled.square().sum(dim=-1) - constant
