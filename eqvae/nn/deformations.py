"""How images change under small motions and deformations, as matrices on disk-harmonic coefficients.

An image D moved by a flow, D_u(p) = D(A_u^-1 p), has the derivative at u = 0

    shift_x, shift_y     -d/dx D,  -d/dy D                               per pixel
    scale                -(x d/dx + y d/dy + 1) D                        per unit of log size
    stretch              -(x d/dx - y d/dy) D                            longer along x, shorter along y
    shear                -(y d/dx + x d/dy) D                            the same at 45 degrees
    heat                 (d^2/dx^2 + d^2/dy^2) D / 2                     per pixel^2 of variance of a blur

On products of Hermite functions x and d/dx raise and lower the degree by one, so each generator is a
matrix. It is exact up to what leaves the basis at its highest degrees. `scale` keeps the norm |D|.

References: Simard, LeCun, Denker, Victorri: Transformation invariance in pattern recognition - tangent
distance and tangent propagation (1998), for the use of such derivatives.
"""

import math

import numpy as np
import torch
from torch import Tensor

from eqvae.nn.harmonics import DiskHarmonics

GENERATORS = ("shift_x", "shift_y", "scale", "stretch", "shear", "heat")


def generator_matrix(harmonics: DiskHarmonics, name: str) -> Tensor:
    """The matrix G with d/du a = G a for coefficients a, (dim, dim), float64.

    Args:
        harmonics: the basis.
        name: one of `GENERATORS`.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in GENERATORS:
        raise ValueError(f"name must be one of {list(GENERATORS)}; got {name!r}.")
    count, margin = harmonics.degree + 1, 4  # products of two ladders reach two degrees higher
    size = count + margin
    n = np.sqrt(np.arange(1, size) / 2)
    u = np.diag(n, 1) + np.diag(n, -1)  # u h_n = sqrt(n / 2) h_n-1 + sqrt((n + 1) / 2) h_n+1
    d = np.diag(n, 1) - np.diag(n, -1)  # h_n' = sqrt(n / 2) h_n-1 - sqrt((n + 1) / 2) h_n+1
    one = np.eye(size)
    # coefficients are ordered (j, i) for h_j(y) h_i(x): the first factor of kron acts on y
    products = {
        "shift_x": lambda: -np.kron(one, d) / harmonics.width,
        "shift_y": lambda: -np.kron(d, one) / harmonics.width,
        "scale": lambda: -(np.kron(one, u @ d) + np.kron(u @ d, one) + np.eye(size**2)),
        "stretch": lambda: -(np.kron(one, u @ d) - np.kron(u @ d, one)),
        "shear": lambda: -(np.kron(u, d) + np.kron(d, u)),
        "heat": lambda: (np.kron(one, d @ d) + np.kron(d @ d, one)) / (2 * harmonics.width**2),
    }
    kept = (np.arange(count)[:, None] * size + np.arange(count)).ravel()
    change = harmonics.basis_change(like=torch.empty(0, dtype=torch.float64)).numpy()
    return torch.from_numpy(change.T @ products[name]()[np.ix_(kept, kept)] @ change)


def radial_quadrature(harmonics: DiskHarmonics, points: int) -> tuple[Tensor, Tensor]:
    """Radial frequencies and the values there of the basis functions' Fourier transforms.

    Gauss-Laguerre functions are eigenfunctions of the Fourier transform, so the transform of phi_nl is
    (-i)^l (-1)^n phi_nl at q = k s. Gauss-Legendre points q_j and weights w_j then give

        sum_j V_nlj V_n'lj = delta_nn',      V_nlj = (-1)^n R_nl(q_j) sqrt(q_j w_j).

    Args:
        harmonics: the basis.
        points: number of frequencies.

    Returns:
        Frequencies k, rad/pixel, (points,), and V, (dim, points), float64; the cosine and the sine of one
        (n, l) have the same row.
    """
    from scipy.special import eval_genlaguerre, gammaln

    # beyond the turning point the tails are nothing
    top = math.sqrt(2 * harmonics.degree + 2) + 3.0
    node, weight = np.polynomial.legendre.leggauss(points)
    q, w = (node + 1) * top / 2, weight * top / 2
    rows = []
    for ell, copies in enumerate(harmonics.multiplicities):
        for n in range(copies):
            log_norm = 0.5 * (gammaln(n + 1) - gammaln(n + ell + 1) + math.log(2))
            radial = np.exp(log_norm - q**2 / 2 + ell * np.log(q)) * eval_genlaguerre(n, ell, q**2)
            rows += [(-1) ** n * radial * np.sqrt(q * w)] * (1 if ell == 0 else 2)
    return torch.from_numpy(q / harmonics.width), torch.tensor(np.array(rows))
