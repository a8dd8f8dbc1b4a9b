"""Symmetry: its elements, its Haar measure, and escnn's groups of the same name."""

import math

import pytest
import torch

from eqvae.symmetry import PlaneMotions, compose
from tests.cases import BY_NAME, SYMMETRIES

FINITE = [s for s in SYMMETRIES if s.is_finite]


def linear_key(g: torch.Tensor) -> list[tuple]:
    """Elements up to whole turns, as something that compares."""
    turns = (g[:, 1] / (2 * math.pi)).remainder(1)
    return [(int(m), round(t * 1e4) % 10000) for m, t in zip(g[:, 0], turns.tolist(), strict=True)]


def test_names_and_orders():
    assert [s.name for s in SYMMETRIES] == ["trivial", "C4", "C8", "D1", "D4", "SO(2)", "O(2)"]
    assert [s.order for s in SYMMETRIES] == [1, 4, 8, 2, 8, math.inf, math.inf]
    assert [s.is_finite for s in SYMMETRIES] == [True] * 5 + [False] * 2


@pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)
def test_equal_groups_are_one_key(symmetry):
    same = PlaneMotions(symmetry.rotations, symmetry.reflections)
    assert same == symmetry and len({same, symmetry}) == 1


@pytest.mark.parametrize("symmetry", FINITE, **BY_NAME)
def test_elements_are_closed_and_distinct(symmetry):
    elements = symmetry.elements()
    assert elements.shape == (symmetry.order, 4)
    assert elements[0].tolist() == [0, 0, 0, 0]
    keys = set(linear_key(elements))
    assert len(keys) == symmetry.order
    for g in elements:
        products = compose(g.expand(len(elements), 4), elements)
        assert set(linear_key(products)) == keys  # a row of the group's table: each element once


@pytest.mark.parametrize("symmetry", [s for s in SYMMETRIES if not s.is_finite], **BY_NAME)
def test_infinite_groups_list_no_elements(symmetry):
    with pytest.raises(ValueError, match="infinitely many elements; draw some with sample"):
        symmetry.elements()


@pytest.mark.parametrize("symmetry", FINITE, **BY_NAME)
def test_samples_of_a_finite_group_are_its_elements_equally_often(symmetry):
    n = 4000
    counts = dict.fromkeys(linear_key(symmetry.elements()), 0)
    for key in linear_key(symmetry.sample(n)):
        counts[key] += 1  # KeyError: not an element
    expected = n / symmetry.order
    deviation = math.sqrt(n * (1 / symmetry.order) * (1 - 1 / symmetry.order))
    assert all(abs(count - expected) <= 5 * deviation for count in counts.values())


@pytest.mark.parametrize("symmetry", [PlaneMotions.so2(), PlaneMotions.o2()], **BY_NAME)
def test_samples_of_all_angles_are_uniform(symmetry):
    n = 10000
    g = symmetry.sample(n).double()
    for frequency in (1, 2, 4):  # each mean has a standard deviation of sqrt(1 / 2n)
        mean = torch.stack([(frequency * g[:, 1]).cos().mean(), (frequency * g[:, 1]).sin().mean()])
        assert mean.abs().max() < 5 * math.sqrt(0.5 / n)
    assert ((g[:, 1] >= 0) & (g[:, 1] <= 2 * math.pi)).all()
    share = g[:, 0].mean().item()
    assert abs(share - 0.5) < 5 * math.sqrt(0.25 / n) if symmetry.reflections else share == 0


def test_shifts_are_uniform_in_the_disc():
    n, radius = 10000, 6.0
    tau = PlaneMotions.cyclic(4).sample(n, shift=radius)[:, 2:].double()
    assert tau.norm(dim=1).max() <= radius + 1e-5
    # uniform: E x = 0 with variance r^2 / 4, E |tau|^2 = r^2 / 2 with variance r^4 / 12
    assert tau.mean(dim=0).abs().max() < 5 * radius / 2 / math.sqrt(n)
    second = tau.square().sum(dim=1).mean().item()
    assert abs(second - radius**2 / 2) < 5 * radius**2 / math.sqrt(12 * n)
    assert PlaneMotions.so2().sample(3)[:, 2:].abs().max() == 0


def test_samples_repeat_with_the_generator():
    draws = [
        PlaneMotions.o2().sample(5, shift=1.0, generator=torch.Generator().manual_seed(3))
        for _ in "ab"
    ]
    assert torch.equal(*draws)


@pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)
def test_escnn_speaks_of_the_same_group(symmetry):
    assert symmetry.group.order() == (symmetry.order if symmetry.is_finite else -1)
    assert symmetry.gspace.fibergroup.order() == symmetry.group.order()
    assert symmetry.gspace.dimensionality == 2


@pytest.mark.parametrize(
    ("symmetry", "frequencies"),
    [
        (PlaneMotions.trivial(), {0}),
        (PlaneMotions.cyclic(4), {0, 1}),
        (PlaneMotions.cyclic(5), {0, 1, 2}),
        (PlaneMotions.cyclic(8), {0, 1, 2, 3}),
        (PlaneMotions.dihedral(4), {0, 1}),
        (PlaneMotions.so2(), set(range(9))),
    ],
    **BY_NAME,
)
def test_frequencies_that_keep_their_meaning(symmetry, frequencies):
    assert {ell for ell in range(9) if symmetry.separates(ell)} == frequencies


@pytest.mark.parametrize("rotations", [0, -1, 2.0, True, "8"])
def test_the_number_of_rotations_is_whole(rotations):
    with pytest.raises(ValueError, match=r"rotations must be a whole number >= 1, or null .* got"):
        PlaneMotions(rotations=rotations)
