"""The second stage of the fit: covariances in the frames of the components, S_k = diag(s_k^2) + W_k W_k^T.

Latents are brought into the frame of a component drawn from p(k, h | v), which turns the orbit mixture into
a plain one: u = rho(h)^-1 v of component k. Of the draws of each component the covariance is taken, shrunk
towards the mean covariance of all,

    S_k = (sum (u - mu_k)(u - mu_k)^T + a S) / (n_k + a),        a = 20 latents,

and split into factors and one variance for each copy by the principal-factor method.

References: Celeux, Diebolt, The SEM algorithm (1985), for drawing in place of averaging; Harman, Modern
factor analysis (1976), chapter 8.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.orbit.em import BATCH
from eqvae.distributions.orbit.kernel import shares
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.symmetry.representations import Representation

_SHARED = 20.0  # latents' worth of the mean covariance in that of each component
_LEAST = 16_000  # draws for covariances: of few latents several each
_MOST = 10  # times that each latent is drawn
_SPLITS = 8  # rounds of the principal-factor method
_SINGULAR = 1e-5  # variance of a coordinate, of that of all latents
_SMALLEST = 1e-3  # variance of a copy, of the component's mean variance there


@dataclass(frozen=True)
class Upright:
    """Latents in the frames of their components.

    Attributes:
        component: (B,).
        element: of the grid, (B,).
        u: rho(h)^-1 v, (B, D).
    """

    component: Tensor
    element: Tensor
    u: Tensor


@torch.no_grad()
def draw_frames(mixture: OrbitMixture, v: Tensor, generator: torch.Generator) -> Upright:
    """Component and element drawn from p(k, h | v), and v moved back by it."""
    inverses = mixture.symmetry.inverse(mixture.grid()).to(v)
    picked = []
    for part, joint in mixture.parts(v):
        r, _ = shares(joint)
        component = _draw(r.sum(0), generator)
        rows = torch.arange(len(part), device=v.device)
        element = _draw(r[:, rows, component].T, generator)
        picked.append(torch.stack([component, element]))
    component, element = torch.cat(picked, 1)
    return Upright(component, element, mixture.representation.act(inverses[element], v))


def _draw(weights: Tensor, generator: torch.Generator) -> Tensor:
    """One column of each row by its weight, (B,)."""
    cumulative = weights.cumsum(1).contiguous()
    at = torch.rand(len(weights), 1, generator=generator).to(weights) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, at)[:, 0].clamp(max=weights.shape[1] - 1)


@torch.no_grad()
def fit_factors(mixture: OrbitMixture, latents: Latents, generator: torch.Generator) -> None:
    """One round: draw frames for all latents, take means and covariances, split them."""
    k, d = mixture.loc.shape
    shift = mixture.loc.clone()  # squares about the means of before lose no digits
    count, first = torch.zeros(k).to(shift), torch.zeros_like(shift)
    second = torch.zeros(k, d, d).to(shift)
    batches = latents.batches(BATCH, generator)
    repeats = min(_MOST, -(-_LEAST // len(latents)))
    draws = 0
    while draws < repeats * len(latents):
        found = draw_frames(mixture, next(batches), generator)
        draws += len(found.u)
        x = found.u - shift[found.component]
        count.index_add_(0, found.component, torch.ones_like(x[:, 0]))
        first.index_add_(0, found.component, x)
        for j in found.component.unique().tolist():
            part = x[found.component == j]
            second[j].addmm_(part.T, part)
    n = count.clamp_min(1)[:, None]
    mean = first / n
    scatter = second - n[:, :, None] * mean[:, :, None] * mean[:, None]
    pooled = scatter.sum(0) / count.sum()
    share = _SHARED * repeats
    covariance = (scatter + share * pooled) / (count + share)[:, None, None]
    least = _SINGULAR * latents.spread(mixture.is_trivial)
    copies = mixture.representation.copy_index.to(least.device)
    covariance = covariance + torch.diag(least[copies])
    scale, factor = split_covariance(mixture.representation, covariance, mixture.rank)
    mixture.loc.copy_(shift + mean)
    mixture.log_scale.copy_(scale.log())
    mixture.factor.copy_(factor)
    mixture.logits.copy_(count.clamp_min(1e-3).log())


def split_covariance(
    latent: Representation, covariance: Tensor, rank: int
) -> tuple[Tensor, Tensor]:
    """Standard deviations by copy (K, copies) and factors (K, D, rank) of covariances (K, D, D)."""
    index, dims = latent.copy_index.to(covariance.device), latent.copy_dims.to(covariance)

    def by_copy(diagonal: Tensor) -> Tensor:
        return (
            torch.zeros(len(diagonal), len(dims)).to(diagonal).index_add_(1, index, diagonal) / dims
        )

    diagonal = covariance.diagonal(dim1=1, dim2=2)
    whole = by_copy(diagonal)
    variance, floor = whole, _SMALLEST * whole
    factor = covariance.new_zeros(*diagonal.shape, 0)
    for _ in range(_SPLITS if rank else 0):
        s = variance[:, index].sqrt()
        values, vectors = torch.linalg.eigh(covariance / s[:, :, None] / s[:, None])
        length = (values[:, None, -rank:] - 1).clamp_min(0).sqrt()
        factor = s[:, :, None] * vectors[:, :, -rank:] * length
        left = by_copy(diagonal - factor.square().sum(2))
        variance = torch.maximum(left, floor)
    return variance.sqrt(), factor
