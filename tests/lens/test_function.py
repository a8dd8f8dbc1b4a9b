"""Black boxes: whatever they are written in, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from eqvae.lens import audit, identify
from eqvae.lens.function import BlackBox
from eqvae.symmetry import PlaneMotions, SpaceRotations

O3, SO2 = SpaceRotations(parity=True), PlaneMotions.so2()
X = np.random.default_rng(0).normal(size=(40, 6))
FORMS = {
    "numpy rows": (lambda x: np.cross(x[:, :3], x[:, 3:]), X, True),
    "numpy row": (lambda x: np.cross(x[:3], x[3:]), X, False),
    "torch rows": (lambda x: torch.linalg.cross(x[:, :3], x[:, 3:]), torch.tensor(X), True),
    "torch row": (lambda x: torch.linalg.cross(x[:3], x[3:]), torch.tensor(X), False),
    "torch rows, arrays given": (lambda x: x[:, :3].cross(x[:, 3:], dim=1), X, True),
    "lists": (lambda x: [x[1] * x[5] - x[2] * x[4], x[2] * x[3] - x[0] * x[5],
                         x[0] * x[4] - x[1] * x[3]], X, False),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_one_function_in_many_forms(form):
    f, data, batched = FORMS[form]
    found = audit(f, O3, "2x1o", "1e", data, draws=4)
    assert found.value < 1e-12 and found.is_batched is batched


def test_modules_get_their_own_type():
    module = nn.Linear(6, 1).requires_grad_(False)  # float32
    found = audit(lambda x: module(x.float()), O3, "2x1o", "0e", torch.tensor(X), draws=4)
    same = audit(module, O3, "2x1o", "0e", X, draws=4)
    assert found.value == pytest.approx(same.value, rel=1e-5) and same.value > 0.1


def test_a_function_that_mixes_rows_is_called_row_by_row():
    f = lambda x: x / np.linalg.norm(x)  # noqa: E731
    box = BlackBox(f, X)
    assert not box.is_batched
    torch.testing.assert_close(box(box.x).norm(dim=1), torch.ones(40).double())


def sizes(x):
    return x[: 3 + (x[0] > 0)]


REFUSED = {
    "must give outputs of one size; got sizes": (sizes, X),
    "must give outputs that differ between inputs": (lambda x: 0 * x + 3.0, X),
    "must answer twice alike": (lambda x: torch.randn(len(x), 2), X),
    "f must give finite outputs": (lambda x: np.log(x), X),
    "data must be finite": (lambda x: x, np.where(X > 2, np.nan, X)),
    "at least 2 inputs; got 1": (lambda x: x, X[:1]),
    "one by one; it says: no": (lambda x: (_ for _ in ()).throw(RuntimeError("no")), X),
    "must be in eval mode": (nn.Sequential(nn.Linear(6, 6), nn.Dropout()), X),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("said", REFUSED)
@pytest.mark.parametrize("ask", [lambda f, x: identify(f, O3, "2x1o", x),
                                 lambda f, x: audit(f, O3, "2x1o", "trivial", x)])  # fmt: skip
def test_what_answers_nothing_is_refused(said, ask):
    with pytest.raises(ValueError, match=said):
        ask(*REFUSED[said])


def test_sizes_and_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"data must be rows of rho_in's dimension, \(N, 9\)"):
        identify(lambda x: x, O3, "3x1o", X)
    with pytest.raises(ValueError, match=r"outputs of f must be rows of rho_out's dimension"):
        audit(lambda x: x, O3, "2x1o", "1o", X)
    with pytest.raises(
        ValueError, match=r"at least 2 \(D \+ 1\) = 14 inputs for D = 6 outputs; got 9"
    ):
        identify(lambda x: x, O3, "2x1o", X[:9])
    with pytest.raises(ValueError, match="at most 128 numbers; got 600"):
        identify(lambda x: np.tile(x, 100), O3, "2x1o", X)
    with pytest.raises(ValueError, match="more than the identity; got trivial"):
        identify(lambda x: x, PlaneMotions.trivial(), "3x1", X)
    with pytest.raises(ValueError, match=r"shift must be 0: O\(3\) has no translations"):
        identify(lambda x: x, O3, "2x1o", X, shift=1.0)
    with pytest.raises(ValueError, match="rho_in must be a representation, its text"):
        identify(lambda x: x, O3, 3, X)
    assert math.isclose(audit(lambda x: x, SO2, "3x1", "3x1", X).value, 0, abs_tol=1e-12)
