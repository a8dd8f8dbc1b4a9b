"""Linear algebra by plain arithmetic agrees with LAPACK."""

import pytest
import torch
import torch.nn.functional as F

from eqvae.export.small_matrices import (
    cholesky,
    cholesky_inverse,
    softplus,
    solve_triangular,
    solve_two,
)

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def positive(n):
    a = torch.randn(5, n, n, dtype=torch.float64)
    return a @ a.mT + torch.eye(n, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_small_matrices_agree_with_lapack(n):
    a, b = positive(n), torch.randn(5, n, 4, dtype=torch.float64)
    root = torch.linalg.cholesky(a)
    torch.testing.assert_close(cholesky(a), root, **EXACT)
    torch.testing.assert_close(cholesky_inverse(root), a.inverse(), **EXACT)
    for t, upper in ((root, False), (root.mT, True)):
        ours = solve_triangular(t, b, upper=upper)
        torch.testing.assert_close(ours, torch.linalg.solve_triangular(t, b, upper=upper), **EXACT)
        ours = solve_triangular(t, b.mT, upper=upper, left=False)
        theirs = torch.linalg.solve_triangular(t, b.mT, upper=upper, left=False)
        torch.testing.assert_close(ours, theirs, **EXACT)


def test_two_rows_by_cramers_rule():
    a, b = positive(2), torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(solve_two(a, b), torch.linalg.solve(a, b), **EXACT)
    with pytest.raises(ValueError, match="two rows"):
        solve_two(positive(3), b)


def test_softplus_of_any_size():
    x = torch.tensor([-800.0, -30, -1, 0, 1, 30, 800], dtype=torch.float64)
    torch.testing.assert_close(softplus(x), F.softplus(x), **EXACT)
