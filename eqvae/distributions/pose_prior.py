"""The prior of poses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.motions import has_scale, log_scale_of, shift_of
from eqvae.symmetry.similarities import check_scales

_SHOULDER = 0.05  # of log-scales beyond a range: standard deviation of a density that is nowhere 0


@dataclass(frozen=True)
class PosePrior:
    """p(g): angles uniform, positions N(0, scale^2 I) about the image centre, both chiralities alike.

    Log-scales, where motions have them, are N(0, width^2), or uniform in a range with shoulders 5 % wide.

    Args:
        position_scale: pixels; cover the shifts in the data. No proper prior is invariant to shifts.
        log_scale_width: standard deviation of the log-scale; cover the sizes in the data.
        scales: smallest and largest scale of a uniform log-scale; None for the normal one.

    Raises:
        ValueError: if a width is not positive, or the scales are no range around 1.
    """

    position_scale: float = 5.0
    log_scale_width: float = 0.5
    scales: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not self.position_scale > 0:
            raise ValueError(
                f"position_scale must be positive (pixels); got {self.position_scale}."
            )
        if not self.log_scale_width > 0:
            raise ValueError(
                f"log_scale_width must be positive, such as 0.5 for scales from 0.6 to 1.6; got "
                f"{self.log_scale_width}."
            )
        if self.scales is not None:
            object.__setattr__(self, "scales", check_scales(self.scales))

    def log_prob(self, g: Tensor) -> Tensor:
        """log p(g) with respect to the Haar measure of angles, pixels and log-scales, (...,)."""
        scaled = shift_of(g) / self.position_scale
        constant = math.log(2 * math.pi * self.position_scale**2)
        log_p = -0.5 * scaled.square().sum(dim=-1) - constant
        return log_p + self._log_size(log_scale_of(g)) if has_scale(g) else log_p

    def sample_log_scale(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Log-scales of n draws, (n,); of a range without its shoulders."""
        if self.scales is None:
            return self.log_scale_width * torch.randn(n, generator=generator)
        low, high = map(math.log, self.scales)
        return low + (high - low) * torch.rand(n, generator=generator)

    def _log_size(self, s: Tensor) -> Tensor:
        root = math.sqrt(2 * math.pi)
        if self.scales is None:
            return -0.5 * (s / self.log_scale_width).square() - math.log(
                root * self.log_scale_width
            )
        low, high = map(math.log, self.scales)
        beyond = (s - s.clamp(low, high)) / _SHOULDER
        return -0.5 * beyond.square() - math.log(high - low + root * _SHOULDER)
