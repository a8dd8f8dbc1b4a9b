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

from torch import Tensor, nn

from eqvae.distributions.priors import MixtureContent
from eqvae.models.vae import VAE, VAEOutput


class ClusterPenalty(nn.Module):
    """log K - I(k; k') in nats, a scalar in [0, log K]; 0 until the prior's components have started."""

    def forward(self, vae: VAE, x: Tensor, output: VAEOutput) -> Tensor:
        """The penalty of a batch.

        Raises:
            ValueError: if the model has no mixture prior or no `deform`.
        """
        prior, deform = getattr(vae.prior, "content", None), getattr(vae, "deform", None)
        if not isinstance(prior, MixtureContent) or deform is None:
            raise ValueError(
                "ClusterPenalty needs a mixture prior and a deformation that keeps the cluster; got "
                f"prior {type(prior).__name__} and deform={deform}. Choose "
                "model/prior=mixture and give model.deform, as experiment=mnist_u does."
            )
        first = prior.responsibilities(output.content.rsample())
        if first is None:
            return x.new_zeros(())
        again = vae.encoder(deform(output.coefficients))
        second = prior.responsibilities(again.rsample())
        return math.log(first.shape[1]) - mutual_information(first, second)


def mutual_information(p: Tensor, q: Tensor) -> Tensor:
    """Of two labels drawn from rows of probabilities (B, K), exchangeable, in nats."""
    joint = p.T @ q / len(p)
    joint = (0.5 * (joint + joint.T)).clamp_min(1e-12)
    margin = joint.sum(dim=0).log()
    return (joint * (joint.log() - margin[:, None] - margin)).sum()
