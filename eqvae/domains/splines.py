"""Quintic splines through the values of an array, at rows of places.

    f(u, v) = sum_ij x_ij c(u - i) c(v - j),    c the cardinal spline: c(0) = 1, c(k) = 0 at other whole
    numbers,

on an array that is zero outside. Places lie on lines of equal row u, at any columns v along them: so are the
points of a hexagonal lattice in a square array, and those of a square grid in a lattice's.

Reference: Unser: Splines, a perfect fit for signal and image processing (1999), sections on B-splines and
interpolation.
"""

import torch
from torch import Tensor


def weights_at(places: Tensor, count: int) -> Tensor:
    """Weights of `count` values at whole numbers in the spline at places (...), float64: (..., count).

    0 at places that are more than half a step beyond the values.
    """
    whole = torch.arange(count, dtype=torch.float64)
    inverse = torch.linalg.inv(_quintic(whole[:, None] - whole))
    weights = _quintic(places[..., None] - whole) @ inverse
    inside = (places >= -0.5 - 1e-9) & (places <= count - 0.5 + 1e-9)
    return weights * inside[..., None]


def resampled(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The splines through arrays (B, C, H, W) at lines of places.

    Args:
        x: the arrays.
        rows: weights of the rows for each line, (L, H), by `weights_at`.
        columns: weights of the columns for each place, (L, M, W).

    Returns:
        (B, C, L, M).
    """
    return torch.einsum("lmw,bclw->bclm", columns, rows @ x)


def _quintic(u: Tensor) -> Tensor:
    """The centred B-spline of degree 5."""
    three, two, one = ((k - u.abs()).clamp_min(0) ** 5 for k in (3, 2, 1))
    return (three - 6 * two + 15 * one) / 120
