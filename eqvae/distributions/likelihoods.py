"""Likelihoods: p(x|z) = N(x; mean(z), sigma^2) or Bernoulli, by pixel; nats, summed over the event."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LOG_2PI = math.log(2 * math.pi)


class GaussianLikelihood(nn.Module):
    """p(x|z) = N(x; mean, variance), the same variance for every pixel.

    Args:
        variance: sigma^2, on images in [0, 1].
        learnable: whether sigma^2 is trained with the rest.

    Raises:
        ValueError: if variance is not positive.
    """

    def __init__(self, variance: float = 0.02, learnable: bool = False):
        super().__init__()
        if not variance > 0:
            raise ValueError(f"variance must be positive; got {variance}.")
        log_variance = torch.tensor(math.log(variance))
        if learnable:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)

    def mean(self, decoded: Tensor) -> Tensor:
        """The mean image of what the decoder gives."""
        return decoded

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        squared = (x - decoded).square().flatten(1).sum(dim=1)
        size = x[0].numel()
        return -0.5 * (squared / self.log_variance.exp() + size * (_LOG_2PI + self.log_variance))

    def constant(self, x: Tensor) -> Tensor:
        """The part of log p(x|z) that no reconstruction changes: log p at a perfect one, nats."""
        return -0.5 * x[0].numel() * (_LOG_2PI + self.log_variance)


class BernoulliLikelihood(nn.Module):
    """p(x|z) = Bernoulli(sigmoid(decoded)) by pixel, for binary images (or means in [0, 1])."""

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid()

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        by_pixel = -F.binary_cross_entropy_with_logits(decoded, x, reduction="none")
        return by_pixel.flatten(1).sum(dim=1)

    def constant(self, x: Tensor) -> Tensor:
        return x.new_zeros(())
