"""Conventions of space against e3nn's: harmonics, Wigner matrices, parities, 3j symbols. Needs the extra."""

import pytest
import torch

from eqvae.lens import equivariant_basis
from eqvae.symmetry import SpaceRepresentation, SpaceRotations, TensorRepresentation
from eqvae.symmetry.space import rotation_matrix, rotation_part
from eqvae.symmetry.wigner import solid_harmonics, wigner, wigners
from tests.cases import draw

o3 = pytest.importorskip("e3nn.o3", reason='needs pip install "eqvae[three]"')
O3 = SpaceRotations(parity=True)
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(autouse=True)
def float64():
    """e3nn makes its constants in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_harmonics_and_wigner_matrices():
    r, p = rotation_part(draw(O3, 20, shift=0.0)), torch.randn(30, 3)
    angles = o3.matrix_to_angles(r)
    ours = wigners(range(12), r)
    for degree in range(12):
        theirs = o3.spherical_harmonics(degree, p, normalize=False, normalization="norm")
        torch.testing.assert_close(solid_harmonics(degree, p), theirs, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(ours[degree], o3.wigner_D(degree, *angles), **EXACT)
    backwards = wigner(3, r.mT)
    assert (backwards - o3.wigner_D(3, *angles)).abs().max() > 0.1  # a control


def test_representations_and_their_parities():
    text = "2x0e + 1x0o + 2x1o + 1x1e + 1x2o + 3x3e"
    g = draw(O3, 20, shift=0.0)
    ours = SpaceRepresentation.parse(text).matrix(g)[:, :-1, :-1]
    torch.testing.assert_close(ours, o3.Irreps(text).D_from_matrix(rotation_matrix(g)), **EXACT)
    assert str(SpaceRepresentation.parse(str(o3.Irreps(text)))) == str(o3.Irreps(text)).replace(
        "+", " + "
    )


@pytest.mark.parametrize(
    "degrees", [(1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 1, 3), (2, 2, 2), (3, 2, 4)]
)
def test_3j_symbols_are_invariant_and_those_of_the_null_space(degrees):
    g = draw(SpaceRotations(), 10, shift=0.0)
    symbol = o3.wigner_3j(*degrees)
    d = [wigner(degree, rotation_part(g)) for degree in degrees]
    moved = torch.einsum("bim,bjn,bko,mno->bijk", *d, symbol)
    torch.testing.assert_close(moved, symbol.expand_as(moved), **EXACT)
    first, second, third = (SpaceRepresentation(((1, degree, 1),)) for degree in degrees)
    (coupling,) = equivariant_basis(TensorRepresentation(first, second), third, SpaceRotations())
    ours = coupling.T.reshape(symbol.shape)
    overlap = (ours * symbol).sum().abs() / (ours.norm() * symbol.norm())
    torch.testing.assert_close(overlap, torch.tensor(1.0), **EXACT)
