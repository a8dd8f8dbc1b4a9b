"""The posterior of content: what an object is, whatever its pose."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.normal import normal_log_prob


@dataclass(frozen=True)
class ContentPosterior:
    """q(c | x) = N(loc, diag(exp(2 log_scale))), each (B, m_0)."""

    loc: Tensor
    log_scale: Tensor

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        like = self.loc
        noise = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.loc + self.log_scale.exp() * noise

    def log_prob(self, c: Tensor) -> Tensor:
        return normal_log_prob(c, self.loc, self.log_scale.exp()).sum(dim=1)
