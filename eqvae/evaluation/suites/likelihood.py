"""How well does the model explain held-out images?"""

import torch
from torch import Tensor

from eqvae.distributions import rows_of
from eqvae.drawing.scores import kl_figure
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.likelihood.active_units import active_units
from eqvae.metrics.likelihood.elbo import bits_per_dim, elbo_scores
from eqvae.metrics.likelihood.importance import importance_weighted_bound
from eqvae.metrics.likelihood.streaming import BoundEstimate, estimate_bound

PLACE = 10
_BOUND = {"fast": (64, 500), "full": (200, 5000)}  # images and draws of each for the bound


@torch.no_grad()
def likelihood(held_out: HeldOut) -> Findings:
    """ELBO and KL by block, an importance-weighted bound, bits per dimension, active units."""
    code, groups, seed = held_out.encoding, held_out.groups, held_out.seed
    scores = elbo_scores(code.log_likelihood, code.kl, groups=groups, seed=seed)
    latent = held_out.representation
    units = (
        code.posterior.mode / held_out.model.prior.scale.cpu()
    )  # the position too in prior units
    active = active_units(units, latent.copy_index, groups=groups, seed=seed)
    n, draws = _BOUND[held_out.effort]
    bound, some = _bound(held_out, n, draws), picked(groups, slice(n))
    scores |= importance_weighted_bound(bound, groups=some, seed=seed)
    dims = held_out.images[0].numel()
    scores |= bits_per_dim(bound.bounds[draws], dims, groups=some, seed=seed)
    blocks = {name.removeprefix("kl/"): s for name, s in scores.items() if name.startswith("kl/")}
    return Findings(scores | active, {"KL by irrep block": kl_figure(blocks)})


def _bound(held_out: HeldOut, n: int, draws: int) -> BoundEstimate:
    """Importance-weighted bounds on log p(x) of the first n images, the posterior as proposal."""
    model, batch = held_out.model, held_out.batch[:n].to(held_out.device)
    n = len(batch)
    at_once = max(1, 1000 // n)
    q = model.encode(batch)
    generator = torch.Generator(held_out.device).manual_seed(held_out.seed)
    steps = iter(held_out.watch(range(-(-draws // at_once)), "importance-weighted bound"))

    def log_weights(k: int) -> Tensor:
        rows = torch.arange(n).repeat(k)
        many = rows_of(q, rows)
        z = many.rsample(generator)
        log_p = model.log_prob(batch[rows], z)
        next(steps, None)
        return (log_p + model.prior.log_prob(z) - many.log_prob(z)).reshape(k, n).cpu()

    return estimate_bound(log_weights, draws, chunk=at_once)
