"""The evidence lower bound and its parts, in nats: summed over the event, averaged over the batch.

    ELBO = E_q log p(x|z) - KL(q(z|x) || p(z)) <= log p(x)

The only place where reductions over the batch are written.
"""

from torch import Tensor

from eqvae.distributions import BernoulliLikelihood, GaussianLikelihood
from eqvae.models.vae import VAEOutput


def elbo_terms(
    x: Tensor, output: VAEOutput, likelihood: GaussianLikelihood | BernoulliLikelihood
) -> dict[str, Tensor]:
    """Batch means of the ELBO and its parts.

    Returns:
        "elbo", "log_likelihood", "kl", "kl/<block>" for every irrep block, "squared_error" (sum over
        the pixels) and "free_energy" = -ELBO with the likelihood's constant left out (for a Gaussian:
        squared error / (2 sigma^2) + KL); lower is better for the last two and the KLs.
    """
    free_energy = likelihood.constant(x) - output.elbo
    terms = {
        "elbo": output.elbo.mean(),
        "log_likelihood": output.log_likelihood.mean(),
        "kl": output.kl_total.mean(),
        "free_energy": free_energy.mean(),
        "squared_error": output.squared_error.mean(),
    }
    return terms | {f"kl/{name}": kl.mean() for name, kl in output.kl.items()}
