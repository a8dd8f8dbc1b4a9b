"""Back from coefficients to a density in space, for pictures and for a look at what a lift keeps.

    rho(p) = sum_nlm (2 l + 1) / (4 pi) (Q_l^-1 f_lm)_n R_n(|p|) Y_lm(p)
    Q_l,nn' = int R_n(r) R_n'(r) g_l(r)^2 r^2 dr

g_l being the fading at the core. Of all densities in the span of the lift's functions it is the one whose
coefficients are those given: the orthogonal projection of the points, each a spike.
"""

import math

import torch
from torch import Tensor

from eqvae.three.lift import Lift
from eqvae.three.search.correlation import spread

_STEPS = 2000  # of the radial integral
_RIDGE = 1e-8  # of Q's largest entry: shells closer than their width are nearly dependent


def density(lift: Lift, coefficients: Tensor, points: Tensor) -> Tensor:
    """The projected density at some points.

    Args:
        lift: that the coefficients come from.
        coefficients: (B, C, n, (lmax + 1)^2).
        points: (M, 3), Angstrom.

    Returns:
        (B, C, M), per Angstrom^3; negative in places, as what is cut off at a degree is.
    """
    shells, k = len(lift.shells), lift.num_coefficients
    if tuple(coefficients.shape[-2:]) != (shells, k):
        raise ValueError(
            f"coefficients must be (B, C, {shells}, {k}) of this lift; got {tuple(coefficients.shape)}."
        )
    dual = dual_coefficients(lift, coefficients)
    radial = lift.radial(points.norm(dim=-1))
    values = torch.einsum("bcnk,mn->bcmk", dual, radial.to(dual))
    return (values * lift.angular(points).to(dual)).sum(-1)


def density_grid(lift: Lift, coefficients: Tensor, size: int = 24) -> tuple[Tensor, float]:
    """The density on a cube about the origin that holds every shell.

    Args:
        lift: that the coefficients come from.
        coefficients: (B, C, n, (lmax + 1)^2).
        size: points along each side, from 2.

    Returns:
        Values (B, C, size, size, size) along x, y and z, and the step between points, Angstrom.

    Raises:
        ValueError: if size is below 2, or the coefficients are not of this lift.
    """
    if size < 2:
        raise ValueError(f"size must be at least 2 points along each side; got {size!r}.")
    half = max(lift.shells) + lift.width
    line = torch.linspace(-half, half, size, dtype=coefficients.dtype, device=coefficients.device)
    points = torch.cartesian_prod(line, line, line)
    values = density(lift, coefficients, points)
    return values.unflatten(-1, (size, size, size)), 2 * half / (size - 1)


def dual_coefficients(lift: Lift, coefficients: Tensor) -> Tensor:
    """(2 l + 1) / (4 pi) Q_l^-1 f: what the functions are to be multiplied with, of the same shape."""
    high = max(lift.shells) + 6 * lift.width
    r = torch.linspace(0, high, _STEPS, dtype=torch.float64)
    radial = lift.radial(r) * r[:, None]
    fading = r.square() / (r.square() + lift.core**2)
    degree = torch.arange(lift.lmax + 1, dtype=torch.float64)
    weight = fading[:, None].pow(degree) * (high / (_STEPS - 1))
    gram = torch.einsum("rn,rl,rk->lnk", radial, weight, radial)
    ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).amax(1)[:, None, None]
    gram = gram + ridge * torch.eye(len(lift.shells)).double()
    dual = torch.linalg.inv(gram) * ((2 * degree + 1) / (4 * math.pi))[:, None, None]
    dual = spread(dual.permute(1, 2, 0)).to(coefficients)  # (n, n', K)
    return torch.einsum("nmk,bcmk->bcnk", dual, coefficients)
