"""The evidence lower bound and its parts, in nats: summed over the event, averaged over the batch.

    ELBO = E_q log p(x|z) - KL(q(z|x) || p(z)) <= log p(x)

The only place where reductions over the batch are written.
"""

from torch import Tensor

from eqvae.models.model import ELBO


def batch_means(elbo: ELBO, constant: Tensor) -> dict[str, Tensor]:
    """Batch means of the ELBO and its parts.

    Args:
        elbo: of each image.
        constant: the part of log p(x|z) that no reconstruction changes, see `GaussianLikelihood.constant`.

    Returns:
        "elbo", "log_likelihood", "kl", "kl/<block>" for every block, "squared_error" (sum over the
        pixels) and "free_energy" = -ELBO with the constant left out (for a Gaussian: squared error /
        (2 sigma^2) + KL); lower is better for the last two and the KLs.
    """
    terms = {
        "elbo": elbo.elbo.mean(),
        "log_likelihood": elbo.log_likelihood.mean(),
        "kl": elbo.kl_total.mean(),
        "free_energy": (constant - elbo.elbo).mean(),
        "squared_error": elbo.squared_error.mean(),
    }
    return terms | {f"kl/{name}": kl.mean() for name, kl in elbo.kl.items()}
