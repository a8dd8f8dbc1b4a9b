"""Equivariant linear maps: counted by characters, found as a null space, recovered from a pair."""

import pytest
import torch

from eqvae.lens import (
    equivariant_basis,
    multiplicities,
    num_equivariant_maps,
    recover_equivariant_map,
)
from eqvae.symmetry import PlaneMotions, RegularRepresentation, SpaceRotations, TensorRepresentation
from eqvae.symmetry.affine import linear_matrices
from eqvae.symmetry.irreps import representation_of
from tests.cases import draw

O3, SO3 = SpaceRotations(parity=True), SpaceRotations()
CASES = [
    (O3, "2x0e + 2x1o + 1x2e", "2x0e + 2x1o + 1x2e", 9),
    (O3, "1x1o", "1x1e", 0),
    (SO3, "1x1o", "1x1e", 1),
    (PlaneMotions.so2(), "2x0 + 2x1", "1x0 + 1x1 + 1x2", 2 + 2 * 2),
    (PlaneMotions.o2(), "2x0 + 2x1", "1x0 + 1xsign + 1x1", 2 + 2),
    (PlaneMotions.cyclic(2), "1x2", "2x0", 4),
    (PlaneMotions.cyclic(4), "1x1", "1x3", 2),
    (PlaneMotions.dihedral(4), "regular", "regular", 8),
    (PlaneMotions.trivial(), "1x1", "1x2", 4),
]


@pytest.mark.parametrize(("group", "into", "out", "count"), CASES)
def test_characters_and_the_null_space_agree(group, into, out, count):
    basis = equivariant_basis(into, out, group)
    assert num_equivariant_maps(into, out, group) == len(basis) == count
    finite = getattr(group, "is_finite", False)
    g = group.grid(1) if finite else draw(group, 8, shift=0.0)
    a, b = (linear_matrices(representation_of(group, rho), g) for rho in (into, out))
    for w in basis:
        torch.testing.assert_close(w @ a, b @ w)
    if count:
        torch.testing.assert_close(basis.flatten(1) @ basis.flatten(1).T, torch.eye(count).double())


def test_two_vectors_couple_as_clebsch_and_gordan_say():
    vector = representation_of(O3, "1o")
    assert multiplicities(TensorRepresentation(vector, vector), O3) == {"0e": 1, "1e": 1, "2e": 1}
    odd = TensorRepresentation(vector, representation_of(O3, "2e"))
    assert multiplicities(odd, O3) == {"1o": 1, "2o": 1, "3o": 1}
    assert multiplicities(RegularRepresentation(PlaneMotions.dihedral(3)), PlaneMotions.dihedral(3)) == {
        "0": 1, "sign": 1, "1": 2,
    }  # fmt: skip


def test_one_pair_gives_a_map_of_64_shifts():
    group, truth = PlaneMotions.cyclic(64), torch.randn(64, dtype=torch.float64)
    matrix = torch.stack([truth.roll(k) for k in range(64)], dim=1)
    u = torch.randn(64, dtype=torch.float64)
    found = recover_equivariant_map(u, matrix @ u, group, "regular", "regular")
    assert found.is_unique and found.residual < 1e-12
    torch.testing.assert_close(found.matrix, matrix)
    few = recover_equivariant_map(torch.ones(64), torch.ones(64), group, "regular", "regular")
    assert few.rank == 1 and not few.is_unique  # an input with a symmetry of its own tells less
    dense = torch.randn(64, 64, dtype=torch.float64)  # a control: no such map
    u = torch.stack([u, u.roll(3).flip(0)])
    assert recover_equivariant_map(u, u @ dense.T, group, "regular", "regular").residual > 0.1


def test_one_pair_tells_of_as_many_copies_of_an_irrep_as_it_has_dimensions():
    rho, w = "1x0e + 4x1o", torch.zeros(13, 13, dtype=torch.float64)
    for matrix in equivariant_basis(rho, rho, O3):
        w += torch.randn(()).item() * matrix
    u = torch.randn(2, 13, dtype=torch.float64)
    assert recover_equivariant_map(u[0], w @ u[0], O3, rho, rho).rank == 1 + 3 * 3
    both = recover_equivariant_map(u, u @ w.T, O3, rho, rho)
    assert both.is_unique
    torch.testing.assert_close(both.matrix, w)


def test_what_has_no_linear_maps_is_refused():
    so2, u = PlaneMotions.so2(), torch.ones(2)
    with pytest.raises(ValueError, match="rho_in must be linear, without a position"):
        equivariant_basis("position + 1x0", "1x0", so2)
    with pytest.raises(ValueError, match="at most 2500 pairs of coordinates; got 60 x 60"):
        equivariant_basis("60x0", "60x0", so2)
    with pytest.raises(ValueError, match="u must be one row or more of 4 numbers"):
        recover_equivariant_map(u, u, so2, "2x1", "1x1")
    with pytest.raises(ValueError, match="y must be finite"):
        recover_equivariant_map(u, u / 0, so2, "1x1", "1x1")
