"""Fit an orbit mixture to latents by expectation and maximisation, in batches.

    E   r(k, h | v) = softmax over components and group elements of log p(v, k, h)
    M   n_k = sum r,   mu_k = sum r rho(h)^-1 v / n_k,   s_km^2 = (sum r |v_m|^2 / n_k - |mu_km|^2) / d_m

Of r only the transforms to the irreps are needed, sum_h r rho_l(h)_ij, as small as those of the E-step. The
sums of a batch are mixed into running averages with a falling weight, so that memory does not grow with the
number of latents, and one pass over many is worth many passes over few. The factors W_k follow in a
second stage, see `factors`.

The fit is to *draws* of q(v | x), anew in every pass: a mixture of the means is too narrow for an ELBO.

References: Dempster, Laird, Rubin (1977); Cappe, Moulines, On-line expectation-maximization algorithm for
latent data models (2009), section 2.3, for the running averages; Arthur, Vassilvitskii, k-means++ (2007), for
the start, in the distance min_h |v - rho(h) mu|.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from eqvae.distributions.orbit.components import Mixture
from eqvae.distributions.orbit.kernel import shares
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture, resolving_angles

BATCH = 4096  # latents whose sums make one step
_FALL = 0.6  # of the weight of a batch, t^-0.6
_SHARED = (
    4.0  # latents' worth of all components' variance in that of each one: few latents say little
)
_SMALLEST = 1e-4  # variance, of that of all latents in the copy
_COARSEST = 3.0  # step of the grid while fitting, see `resolving_angles`


@dataclass(frozen=True)
class Moments:
    """Means over latents.

    Attributes:
        weight: r, (K,).
        first: r rho(h)^-1 v, (K, D).
        second: r |v_m|^2, (K, copies).
        log_prob: log p(v), nats.
    """

    weight: Tensor
    first: Tensor
    second: Tensor
    log_prob: Tensor

    def mixed(self, other: "Moments", weight: float) -> "Moments":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Moments(*((1 - weight) * a + weight * b for a, b in pairs))


@torch.no_grad()
def expectation_maximisation(
    mixture: OrbitMixture, latents: Latents, steps: int, generator: torch.Generator
) -> None:
    """EM for weights, means and variances from a fresh start; the factors are left alone.

    Args:
        mixture: changed in place.
        latents: to fit, at least as many as components.
        steps: how many batches.
        generator: of the start and of all draws.
    """
    total = latents.spread(mixture.is_trivial)
    start(mixture, latents.some(BATCH, generator), total, generator)
    for _ in improved(mixture, latents, total, steps, generator, partial(moments, mixture)):
        # on too coarse a grid what turns fast would seem wide
        mixture.angles = resolving_angles(mixture, _COARSEST)


@torch.no_grad()
def improved(
    mixture: Mixture,
    latents: Latents,
    total: Tensor,
    steps: int,
    generator: torch.Generator,
    moments: Callable[[Tensor], Moments],
) -> Iterator[int]:
    """The steps of EM, each yielded when it is done.

    Args:
        mixture: changed in place.
        latents: to fit.
        total: variance of all latents by copy, (copies,).
        steps: how many batches.
        generator: of the draws.
        moments: the E-step of a batch (B, D).
    """
    batches = latents.batches(BATCH, generator)
    running, batch = None, min(BATCH, len(latents))
    for step in range(steps):
        found = moments(next(batches))
        weight = max((step + 1) ** -_FALL, 0.5 * batch / len(latents))
        whole = running is None or batch == len(latents)
        running = found if whole else running.mixed(found, weight)
        maximise(mixture, running, total, len(latents))
        yield step


@torch.no_grad()
def moments(mixture: OrbitMixture, v: Tensor) -> Moments:
    """The E-step on latents (B, D)."""
    parts = [_sums(mixture, part, joint) for part, joint in mixture.parts(v)]
    return Moments(*(torch.stack(p).sum(0) / len(v) for p in zip(*parts, strict=True)))


def _sums(mixture: OrbitMixture, v: Tensor, joint: Tensor) -> tuple[Tensor, ...]:
    r, log_p = shares(joint)
    by_component = r.sum(0)  # (B, K)
    first, second = [], []
    for block in mixture.representation.blocks:
        x = v[:, block.slice]
        q, table = (t.to(v) for t in mixture.table(block))
        weights = (table @ r.flatten(1)).unflatten(1, r.shape[1:])  # (q, B, K)
        moved = (weights.mT @ x).unflatten(2, (block.copies, block.dim))  # (q, K, m, d)
        first.append(torch.einsum("qkmi,ijq->kmj", moved, q).flatten(1))
        second.append(by_component.T @ x.square().unflatten(1, (block.copies, -1)).sum(2))
    return by_component.sum(0), torch.cat(first, 1), torch.cat(second, 1), log_p.sum()


@torch.no_grad()
def maximise(mixture: Mixture, found: Moments, total: Tensor, count: int) -> None:
    """The M-step: weights, means and variances from the sums.

    Args:
        mixture: changed in place.
        found: of the E-step.
        total: variance of all latents by copy, (copies,).
        count: of all latents.
    """
    n = found.weight.clamp_min(1e-12)[:, None]
    loc = found.first / n
    latent = mixture.representation
    squares = torch.zeros_like(found.second)
    squares.index_add_(1, latent.copy_index.to(loc.device), loc.square())
    floor = _SMALLEST * total
    variance = torch.maximum((found.second / n - squares) / latent.copy_dims.to(loc), floor)
    shared = (n * variance).sum(0) / n.sum()
    share = _SHARED / count
    mixture.loc.copy_(loc)
    mixture.log_scale.copy_(0.5 * ((n * variance + share * shared) / (n + share)).log())
    mixture.logits.copy_(n[:, 0].log())


@torch.no_grad()
def start(mixture: OrbitMixture, v: Tensor, total: Tensor, generator: torch.Generator) -> None:
    """Means at latents far from each other in orbit distance, see `spread_out`."""
    one = OrbitMixture(mixture.representation, mixture.symmetry, 1, angles=min(mixture.angles, 32))
    one.to(v).log_scale.copy_(0.5 * total.log()[None])
    at_zero = (mixture.representation.copy_dims.to(v) * (total * 2 * math.pi).log()).sum()

    def distance(to: Tensor) -> Tensor:
        one.loc.copy_(to[None])
        best = one.log_joint(v).amax(0)[:, 0] + math.log(len(one.grid()))
        return (-2 * best - at_zero).clamp_min(0)

    spread_out(mixture, v, total, distance, generator)


@torch.no_grad()
def spread_out(
    mixture: Mixture,
    v: Tensor,
    total: Tensor,
    distance: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> None:
    """Means at latents far from each other, variances half of all latents'.

    Each next mean is drawn by its squared distance to the nearest one before, of three draws the best.

    Args:
        mixture: changed in place.
        v: latents (B, D).
        total: variance of all latents by copy, (copies,).
        distance: squared distances (B,) of v to the orbit of one latent (D,).
        generator: of the draws.
    """
    chosen = [int(torch.randint(len(v), (1,), generator=generator))]
    nearest = distance(v[chosen[0]])
    for _ in range(mixture.components - 1):
        weights = nearest.double().cpu() + 1e-12
        tries = torch.multinomial(weights, 3, replacement=True, generator=generator).tolist()
        found = [torch.minimum(nearest, distance(v[i])) for i in tries]
        best = min(range(3), key=lambda i: float(found[i].sum()))
        chosen.append(tries[best])
        nearest = found[best]
    mixture.loc.copy_(v[chosen])
    mixture.log_scale.copy_(0.5 * (0.5 * total).log().expand_as(mixture.log_scale))
    mixture.logits.zero_()
