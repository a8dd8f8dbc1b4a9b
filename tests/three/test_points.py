"""Atoms as a domain: the laws of a domain, where coordinates are the signal."""

import math

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.symmetry.space_motions import space_motion
from eqvae.three.points import Points
from eqvae.three.structures import Structures

ATOMS = Points(4, ("C", "O", "H", "H"))


def structures(n: int = 10) -> torch.Tensor:
    return torch.randn(n, 1, 4, 3, generator=torch.Generator().manual_seed(1)).double()


def motions(n: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return ATOMS.group.sample(n, shift=1.5, generator=generator).double()


def test_the_identity_moves_nothing_and_motions_compose():
    x, g, h, group = structures(), motions(), motions().flip(0), ATOMS.group
    assert torch.equal(ATOMS.act(group.identity(10), x), x)
    once = ATOMS.act(group.compose(g, h), x)
    torch.testing.assert_close(ATOMS.act(g, ATOMS.act(h, x)), once, rtol=0, atol=1e-13)
    wrong = ATOMS.act(h, ATOMS.act(g, x))
    assert (wrong - once).abs().amax(dim=(1, 2, 3)).median() > 0.1  # control: the order matters


def test_there_and_back_costs_rounding_alone():
    assert ATOMS.resampling_error(motions(), structures()).abs().max() < 1e-14


def test_a_motion_keeps_distances_and_every_atom_goes_where_it_says():
    x, shift = structures(1), torch.tensor([1.0, 2.0, 3.0]).double()
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()  # about z
    moved = ATOMS.act(space_motion(quarter, shift), x)
    a, b = x[0, 0], moved[0, 0]
    expected = torch.stack([-a[:, 1] + 1, a[:, 0] + 2, a[:, 2] + 3], dim=1)
    torch.testing.assert_close(b, expected)
    torch.testing.assert_close(torch.cdist(b, b), torch.cdist(a, a))


def test_a_batch_of_structures_is_a_batch_and_no_atom_is_ever_masked():
    batch = Batch(structures())
    assert tuple(batch.image.shape[2:]) == ATOMS.shape == tuple(ATOMS.mask().shape)
    assert ATOMS.mask(7 / 8 * ATOMS.radius).all() and ATOMS.black == ATOMS
    with pytest.raises(ValueError, match="no place of their own"):
        ATOMS.mask(3.0)
    with pytest.raises(ValueError, match="no positions of its own"):
        ATOMS.points()


def test_seen_from_z_each_atom_is_a_blob_where_it_lies():
    x = torch.tensor([[[[0.0, 0, 0], [8, 0, 5], [0, 4, -5], [0, 4, 5]]]])
    (picture,) = ATOMS.to_pixels(x)[0]
    right, up = picture[30:34, 56:].sum(), picture[:24, 30:34].sum()
    assert right > 3 and up > 1.3 * right and picture[40:].sum() < 1e-2


def test_elements_become_channels():
    known = Points.of(Structures(structures()[:, 0], ATOMS.elements))
    assert known == ATOMS
    assert ATOMS.channels().tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert ATOMS.channels(["H", "C", "N", "O"]).sum(0).tolist() == [2, 1, 0, 1]
    with pytest.raises(ValueError, match=r"without \['O'\]"):
        ATOMS.channels(["H", "C"])
    with pytest.raises(ValueError, match="elements are not known"):
        Points(4).channels()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((0,), "num_atoms must be a whole number"),
        ((2.0,), "num_atoms must be a whole number"),
        ((3, ("C",)), "elements must name each of the 3 atoms"),
    ],
)
def test_what_is_no_domain_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Points(*arguments)


def test_other_atoms_are_refused():
    with pytest.raises(ValueError, match="coordinates of 4 atoms"):
        ATOMS.act(motions(2), torch.zeros(2, 1, 5, 3))
    with pytest.raises(ValueError, match="one element for each structure"):
        ATOMS.act(motions(2), torch.zeros(3, 1, 4, 3))
    assert math.isinf(ATOMS.band)
