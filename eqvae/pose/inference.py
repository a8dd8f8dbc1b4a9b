"""What every way of finding poses shares: its interface and what it gives.

    infer    query -> q(g | x), the pose posterior
    score    query -> E_q log p(x | c, g) and KL(q(g | x) || p(g)), to train by

`exact` needs no network: it searches. `attention` and `unimodal` are amortised: networks that are trained
by what they propose. All see an image as a `View`, a template as coordinates in a `TemplateSpace`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.distributions.pose import PosePosterior, draw_bins
from eqvae.distributions.pose_prior import PosePrior
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import View


@dataclass(frozen=True)
class PoseScore:
    """What training needs, each (B,), nats.

    Attributes:
        log_likelihood: E_q log p(x | c, g).
        kl: KL(q(g | x) || p(g)).
    """

    log_likelihood: Tensor
    kl: Tensor


@dataclass(frozen=True)
class PoseQuery:
    """What is asked: at which poses images show objects of known looks.

    Attributes:
        view: B images seen from positions.
        template: what their objects look like, (B, dim).
        likelihood: p(x | c, g).
        prior: p(g).
    """

    view: View
    template: Tensor
    likelihood: TemplateLikelihood
    prior: PosePrior


class PoseInference(nn.Module, ABC):
    """A way to find where an object is and which way it points, given what it looks like."""

    @abstractmethod
    def infer(self, query: PoseQuery, *, fine: bool = True) -> PosePosterior:
        """q(g | x); a coarser and faster answer, if not `fine`."""

    @abstractmethod
    def score(self, query: PoseQuery) -> PoseScore:
        """The part of the ELBO that the pose takes part in."""


def sampled_score(posterior: PosePosterior, query: PoseQuery, draws: int) -> PoseScore:
    """Both terms from draws of an amortised posterior, with gradients to its bins and their motions.

    Motions within a bin are reparameterised. Which bin is drawn is not: its gradient is the score
    function, each draw's value compared with the mean of the others,

        sum_s (f_s - mean_{r != s} f_r) grad log w_{k_s} / S,

    which is unbiased. It is added with value zero.

    References: Kool, van Hoof, Welling: Buy 4 REINFORCE samples, get a baseline for free! (2019).
    """
    values, kls, chosen = [], [], []
    for _ in range(draws):
        with torch.no_grad():
            index = draw_bins(posterior.log_weights)
        g = posterior.within(index, torch.randn(len(index), 3).to(query.template))
        values.append(query.likelihood.log_prob(query.view, query.template, g))
        kls.append(posterior.log_prob(g) - query.prior.log_prob(g))
        chosen.append(posterior.log_weights.gather(1, index[:, None])[:, 0])
    value, kl, log_w = torch.stack(values), torch.stack(kls), torch.stack(chosen)
    if draws > 1 and posterior.log_weights.shape[1] > 1:
        gain = (value - kl).detach()
        others = (gain.sum(dim=0) - gain) / (draws - 1)
        value = value + (gain - others) * (log_w - log_w.detach())
    return PoseScore(value.mean(dim=0), kl.mean(dim=0))
