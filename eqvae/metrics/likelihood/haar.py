"""Densities of directions with respect to the normalised Haar measure d theta / 2 pi.

The uniform law has density 1 there, log density 0, as everywhere in eqvae. Prior and posterior of a pose
must be measured alike: where one is per radian and the other is not, KL and every bound are wrong by
exactly log 2 pi = 1.84 nats.
"""

import math

import torch
from torch import Tensor


def density_on_haar(log_density: Tensor, volume: float = 2 * math.pi) -> Tensor:
    """log density with respect to the normalised Haar measure, from one per unit of another measure.

    log p_Haar = log p + log V, with V the volume of the group in that measure: 2 pi for densities per
    radian, 360 per degree, N for the probabilities of the N elements of C_N.

    Args:
        log_density: nats, any shape.
        volume: V.

    Raises:
        ValueError: if the volume is not positive.
    """
    if not volume > 0:
        raise ValueError(f"volume must be positive; got {volume}.")
    return log_density + math.log(volume)


def log_haar_uniform(theta: Tensor) -> Tensor:
    """log density of the uniform law on the circle with respect to the Haar measure: 0 everywhere."""
    return torch.zeros_like(theta)


def log_von_mises(theta: Tensor, loc: Tensor, concentration: Tensor) -> Tensor:
    """log density of the von Mises law with respect to the Haar measure d theta / 2 pi, nats.

    kappa cos(theta - mu) - log I_0(kappa); all arguments broadcast. `torch.distributions.VonMises` is
    per radian, smaller by log 2 pi.
    """
    log_i0 = torch.special.i0e(concentration).log() + concentration
    return concentration * torch.cos(theta - loc) - log_i0
