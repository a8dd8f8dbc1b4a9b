"""Plain arithmetic for graphs: linear algebra of small matrices, which their language has not, and softplus.

    A = L L^T:   L_jj = (A_jj - sum_k L_jk^2)^(1/2),   L_ij = (A_ij - sum_k L_ik L_jk) / L_jj

Rows are written out, so the size is that of the tangents of a pose and its nuisances, hardly ten.

Reference: Golub, Van Loan, Matrix computations (2013), algorithms 3.1.1 and 4.2.1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def cholesky(a: Tensor, upper: bool = False) -> Tensor:
    """Roots L of positive matrices (..., n, n), lower triangular; L^T if `upper`."""
    n = a.shape[-1]
    rows: list[list[Tensor]] = []
    for i in range(n):
        row: list[Tensor] = []
        for j in range(i + 1):
            known = rows[j] if j < i else row
            rest = a[..., i, j] - sum(row[k] * known[k] for k in range(j))
            row.append(rest.sqrt() if i == j else rest / rows[j][j])
        rows.append(row)
    zero = torch.zeros_like(a[..., 0, 0])
    root = torch.stack([torch.stack(r + [zero] * (n - len(r)), -1) for r in rows], -2)
    return root.mT if upper else root


def solve_triangular(
    a: Tensor, b: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """Solutions X of A X = B, or of X A = B if not `left`, for triangular A (..., n, n)."""
    if not left:
        return solve_triangular(a.mT, b.mT, upper=not upper, unitriangular=unitriangular).mT
    n = a.shape[-1]
    found: dict[int, Tensor] = {}
    for i in reversed(range(n)) if upper else range(n):
        rest = b[..., i, :] - sum(a[..., i, k, None] * x for k, x in found.items())
        found[i] = rest if unitriangular else rest / a[..., i, i, None]
    return torch.stack([found[i] for i in range(n)], -2)


def cholesky_inverse(root: Tensor, upper: bool = False) -> Tensor:
    """Inverses of A = L L^T from L, (..., n, n)."""
    lower = root.mT if upper else root
    one = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device).expand_as(root)
    half = solve_triangular(lower, one, upper=False)
    return half.mT @ half


def solve_two(a: Tensor, b: Tensor, *, left: bool = True) -> Tensor:
    """Solutions X of A X = B for A (..., 2, 2), by Cramer's rule.

    Raises:
        ValueError: for larger matrices, which nothing here needs.
    """
    if a.shape[-1] != 2 or not left:
        raise ValueError(f"a must be of two rows; got {tuple(a.shape)}.")
    (p, q), (r, s) = (a[..., i, :].unbind(-1) for i in range(2))
    adjugate = torch.stack([torch.stack([s, -q], -1), torch.stack([-r, p], -1)], -2)
    return (adjugate @ b) / (p * s - q * r)[..., None, None]


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)): onnxruntime 1.32 has none in float64."""
    return (
        x.clamp_min(0) + (1 + (-x.abs()).exp()).log() if x.dtype == torch.float64 else F.softplus(x)
    )


class WrittenOut(TorchFunctionMode):
    """Within it, torch's linear algebra and softplus are done by the functions above."""

    _BY = {
        torch.linalg.cholesky: cholesky,
        torch.linalg.solve_triangular: solve_triangular,
        torch.linalg.solve: solve_two,
        torch.cholesky_inverse: cholesky_inverse,
        F.softplus: softplus,
    }

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return self._BY.get(func, func)(*args, **(kwargs or {}))
