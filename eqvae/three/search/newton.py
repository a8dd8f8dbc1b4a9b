"""Newton's method for the correlation on SO(3), with gradient and Hessian in closed form.

    c(R exp(u)) = sum_l <D_l(R) exp(sum_a u_a X_a), G_l>
    dc / du_a = <D, G X_a^T>,      d^2 c / du_a du_b = <D, G (X_a X_b + X_b X_a)^T / 2>      at u = 0

Value, gradient and Hessian are ten linear functions of D(R): one matrix product for all candidates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space import SpaceRotations
from eqvae.three.search.correlation import lmax_of, signed_blocks
from eqvae.three.search.euler import blocks

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_FLAT = 1e-9  # of the stiffest direction: below this a direction does not count
_ROUNDING = 1e-13  # of a value: what a last step may lose
_SO3 = SpaceRotations()


@dataclass(frozen=True)
class Refined:
    """Where Newton's method ended.

    Attributes:
        elements: of O(3), (P, k, 5).
        values: c there, (P, k).
        stiffness: eigenvalues of the negative Hessian, rising, per radian^2, (P, k, 3): positive at a
            maximum, 0 along a direction in which nothing changes.
    """

    elements: Tensor
    values: Tensor
    stiffness: Tensor


def derivatives(pair: Tensor) -> Tensor:
    """What D is multiplied with for value, gradient and Hessian, (P, F) -> (P, 10, F)."""
    known = blocks(lmax_of(pair), pair.dtype, pair.device)
    found = []
    for (degree, span), x in zip(known.spans(), known.generators, strict=True):
        block = pair[:, None, span].unflatten(2, (2 * degree + 1, 2 * degree + 1))
        second = torch.stack([(x[a] @ x[b] + x[b] @ x[a]) / 2 for a, b in _PAIRS])
        steps = torch.cat([torch.eye(2 * degree + 1).to(x)[None], x, second])
        found.append((block @ steps.mT).flatten(2))
    return torch.cat(found, dim=2)


def refine(pair: Tensor, elements: Tensor, steps: int = 10, reach: float | None = None) -> Refined:
    """Climb from each candidate to the maximum beside it.

    Steps are those of Newton where c is concave, and along the gradient's side of a saddle elsewhere; one
    that leads down is halved instead of taken, so that c never falls.

    Args:
        pair: G, (P, F).
        elements: candidates, (P, k, 5); their parity stays.
        steps: at most.
        reach: the longest step, radians; None for a quarter of the shortest wave, pi / (2 lmax).
    """
    lmax = lmax_of(pair)
    table = derivatives(pair)
    here = elements.to(pair)
    value, gradient, hessian = _expand(table, here, lmax)
    longest = torch.full_like(value, torch.pi / (2 * max(1, lmax)) if reach is None else reach)
    for _ in range(steps):
        step = _uphill(gradient, hessian)
        size = step.norm(dim=-1)
        if bool((size < 1e-14).all()):
            break
        step = step * (longest / size.clamp_min(1e-300)).clamp_max(1)[..., None]
        there = _SO3.compose(here.flatten(0, 1), _SO3.exp(step.flatten(0, 1))).view_as(here)
        reached, slope, bend = _expand(table, there, lmax)
        better = reached >= value - _ROUNDING * value.abs()
        longest = torch.where(better, longest, step.norm(dim=-1) / 4)
        here = torch.where(better[..., None], there, here)
        value = torch.where(better, reached, value)
        gradient = torch.where(better[..., None], slope, gradient)
        hessian = torch.where(better[..., None, None], bend, hessian)
    return Refined(here, value, torch.linalg.eigvalsh(-hessian))


def _expand(table: Tensor, elements: Tensor, lmax: int) -> tuple[Tensor, Tensor, Tensor]:
    """c, its gradient and Hessian, (P, k), (P, k, 3) and (P, k, 3, 3)."""
    ten = signed_blocks(lmax, elements) @ table.mT
    xx, yy, zz, xy, xz, yz = ten[..., 4:].unbind(-1)
    hessian = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))
    return ten[..., 0], ten[..., 1:4], hessian


def _uphill(gradient: Tensor, hessian: Tensor) -> Tensor:
    """Newton's step, with curvatures of the wrong sign turned round and flat directions left out."""
    bend, axes = torch.linalg.eigh(hessian)
    size = bend.abs()
    flat = size <= _FLAT * size.amax(dim=-1, keepdim=True)
    along = (axes.mT @ gradient[..., None])[..., 0]
    along = torch.where(flat, 0 * along, along / size.clamp_min(1e-300))
    return (axes @ along[..., None])[..., 0]
