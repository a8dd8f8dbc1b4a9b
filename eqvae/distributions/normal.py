"""The normal density, by coordinate."""

import math

from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)


def normal_log_prob(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(z; loc, scale^2) by coordinate, nats."""
    return -0.5 * ((z - loc) / scale).square() - scale.log() - 0.5 * _LOG_2PI
