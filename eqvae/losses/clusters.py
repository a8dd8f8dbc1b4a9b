"""Clusters that no small deformation changes, all of them used.

    penalty = log K - I(k; k'),    k ~ p(k | c), c ~ q(c | x),    k' ~ p(k | c'), c' ~ q(c | a x)

with p(k | c) the components of the content's mixture prior, a a draw of the model's `deform`, and I the
mutual information in nats of the joint table P = E[p(k | c) p(k' | c')], averaged over the batch and made
symmetric. I = H(k) - H(k | k'): it is largest, log K, where two looks at an object always fall into one
component and all components are used alike. Data whose classes differ much in size pull against that: lower
the weight there.

Reference: Ji, Henriques, Vedaldi: Invariant information clustering (2019), https://arxiv.org/abs/1807.06653,
eq. 3, there for a classifier and changed pictures.
"""

import math

from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.priors import MixtureContent
from eqvae.losses.term import PenaltyTerm
from eqvae.models.model import Model
from eqvae.models.pose_vae import ContentELBO


class ClusterPenalty(PenaltyTerm):
    """log K - I(k; k') in nats, a scalar in [0, log K]; 0 until the prior's components have started."""

    def check(self, model: Model) -> None:
        """Refuse a model without a mixture prior or without a deformation."""
        prior, deform = getattr(model.prior, "content", None), getattr(model, "deform", None)
        if not isinstance(prior, MixtureContent) or deform is None:
            raise ValueError(
                "ClusterPenalty needs a mixture prior and a deformation that keeps the cluster; got "
                f"prior {type(prior).__name__} and deform={deform}. Choose "
                "model/prior=mixture and give model.deform, as experiment=mnist_u does."
            )

    def forward(self, model: Model, batch: Batch, elbo: ContentELBO) -> Tensor:
        prior = model.prior.content
        first = prior.responsibilities(elbo.content.rsample())
        if first is None:
            return batch.image.new_zeros(())
        again = model.encoder(model.deform(elbo.coefficients))
        second = prior.responsibilities(again.rsample())
        return math.log(first.shape[1]) - mutual_information(first, second)


def mutual_information(p: Tensor, q: Tensor) -> Tensor:
    """Of two labels drawn from rows of probabilities (B, K), exchangeable, in nats."""
    joint = p.T @ q / len(p)
    joint = (0.5 * (joint + joint.T)).clamp_min(1e-12)
    margin = joint.sum(dim=0).log()
    return (joint * (joint.log() - margin[:, None] - margin)).sum()
