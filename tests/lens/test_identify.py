"""`identify` names what is planted, says "none" for what is broken, and what it can't tell."""

import numpy as np
import pytest
import torch

from eqvae.claims.planted import BROKEN, PLANTED
from eqvae.lens import audit, identify
from eqvae.symmetry import (
    PlaneMotions,
    Representation,
    SpaceMotions,
    SpaceRepresentation,
    SpaceRotations,
)
from eqvae.symmetry.irreps import irreps_of
from tests.cases import draw

E3 = SpaceMotions(parity=True)
O3, SO2 = SpaceRotations(parity=True), PlaneMotions.so2()


def particles(n: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 6))


def momentum(x: np.ndarray) -> np.ndarray:
    return np.cross(x[:, :3], x[:, 3:])


@pytest.mark.parametrize("planted", [*PLANTED, *BROKEN], ids=lambda planted: planted.what)
def test_planted_maps_are_named_and_broken_ones_are_not(planted):
    """At 1 % noise."""
    data = planted.data(48, seed=5)
    f = planted.noisy(data, seed=6)
    found = identify(
        f, planted.group, planted.rho_in, data, shift=planted.shift, draws=10, refits=0
    )
    assert found.name == planted.name
    assert bool(found) == (planted.name != "none") == (not found.reason)


def test_without_noise_it_is_exact_and_gives_coordinates_that_move():
    x = torch.randn(60, 8, 2, dtype=torch.float64)
    mixed = torch.randn(6, 6, dtype=torch.float64)

    def f(x):
        centre, first = x.mean(1), x[:, 0] - x.mean(1)
        size = first.norm(dim=1, keepdim=True)
        return torch.cat([centre, size, x.var(1).sum(1, keepdim=True), first], dim=1) @ mixed

    found = identify(f, SO2, "points", x, shift=2.0)
    assert found.name == "position + 2x0 + 1x1" and found.columns == {}
    assert found.defect < 1e-9 and found.linear_defect < 1e-9 and found.character_error < 1e-9
    assert found.homomorphism_defect < 1e-9 and found.floor == 0 and found.certainty > 0.9
    g = SO2.sample(60, shift=3.0).double()
    latent = Representation.parse(found.name)
    after, before = (found.coordinates(f(rows)) for rows in (SO2.act(g, x), x))
    torch.testing.assert_close(after, latent.act(g, before))


def test_functions_of_points_of_space_are_named_under_its_motions():
    """A centroid is a position, a displacement a vector, an area a pseudovector, a volume changes sign."""
    x = np.random.default_rng(3).normal(size=(80, 4, 3))

    def f(x):
        centre, sides = x.mean(1), x[:, 1:] - x[:, :1]
        area = np.cross(sides[:, 0], sides[:, 1])
        volume = np.linalg.det(sides)[:, None]
        return np.concatenate(
            [centre, sides[:, 0], area, volume, x.var(1).sum(1, keepdims=True)], axis=1
        )

    found = identify(f, E3, "points", x, shift=4.0, draws=10, refits=0)
    assert found.name == "position + 1x0e + 1x0o + 1x1o + 1x1e" and found.defect < 1e-9
    assert found.columns["position"] == (0, 1, 2) and found.columns["0o"] == (9,)
    g = draw(E3, 80, seed=9)
    latent, move = SpaceRepresentation.parse(found.name), E3.act(g, torch.from_numpy(x)).numpy()
    after, before = (found.coordinates(f(rows)) for rows in (move, x))
    torch.testing.assert_close(after, latent.act(g, before))
    centroid = identify(lambda x: x.mean(1), E3, "points", x, shift=4.0, draws=10, refits=0)
    assert centroid.name == "position"
    unmoved = identify(lambda x: x.mean(1), E3, "points", x, draws=10, refits=0)  # no shifts tried
    assert unmoved.name == "1o" and "position" in unmoved.alternatives["1o"][0]
    assert audit(lambda x: x.mean(1), E3, "points", "position", x, shift=4.0).holds(1e-12)
    assert not audit(lambda x: x.mean(1), E3, "points", "1o", x, shift=4.0).holds(1e-2)
    assert not identify(lambda x: np.abs(x).mean(1), E3, "points", x, shift=4.0, draws=10, refits=0)


def test_columns_are_told_where_single_ones_hold_an_irrep():
    def f(x):
        return np.concatenate([momentum(x), (x**2).sum(1, keepdims=True), x[:, 3:]], axis=1)

    found = identify(f, O3, "2x1o", particles(), refits=0)
    assert found.name == "1x0e + 1x1o + 1x1e"
    assert found.columns == {"0e": (3,), "1o": (4, 5, 6), "1e": (0, 1, 2)}
    assert found.is_batched and found.rank == found.dim == 7


def test_a_group_that_is_too_small_says_what_it_can_not_tell():
    x = torch.randn(40, 2, dtype=torch.float64)
    doubled = lambda x: torch.stack([x[:, 0] ** 2 - x[:, 1] ** 2, 2 * x[:, 0] * x[:, 1]], dim=1)  # noqa: E731
    assert identify(doubled, SO2, "1x1", x, refits=0).name == "1x2"
    found = identify(doubled, PlaneMotions.cyclic(2), "1x1", x, refits=0)
    assert found.name == "2x0" and "2" in found.alternatives["0"]
    assert "0 can't be told from 2, 4, sign" in str(found)
    vector = identify(momentum, SpaceRotations(), "2x1o", particles(), refits=0)
    assert vector.name == "1x1" and vector.alternatives == {"1": ("1o", "1e")}
    unshifted = identify(lambda x: x.mean(1), SO2, "points", torch.randn(40, 5, 2), refits=0)
    assert unshifted.name == "1x1" and "position" in unshifted.alternatives["1"][0]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_aliases_are_what_restricts_to_the_same(n):
    """Each alias of C_n, as a frequency of SO(2), has the character of the irrep times a whole number."""
    group = PlaneMotions.cyclic(n)
    g = group.elements()
    plane = {i.name: i for i in irreps_of(SO2, 12)}
    for irrep in irreps_of(group):
        own = torch.einsum("kii->k", irrep.matrix(g))
        for alias in irrep.aliases:
            if alias.isdigit():
                other = torch.einsum("kii->k", plane[alias].matrix(g))
                torch.testing.assert_close(other, own * (other[0] / own[0]))


def test_what_the_data_do_not_show_is_said():
    x = particles()
    twice = lambda x: np.concatenate([momentum(x), 2 * momentum(x)], axis=1)  # noqa: E731
    found = identify(twice, O3, "2x1o", x, refits=0)
    assert found.name == "1e" and found.rank == 3
    assert "the outputs span 3 of 6 directions" in str(found)
    high = lambda x: np.stack([np.cos(9 * np.arctan2(x[:, 1], x[:, 0])),  # noqa: E731
                               np.sin(9 * np.arctan2(x[:, 1], x[:, 0]))], axis=1)  # fmt: skip
    found = identify(high, SO2, "1x1", x[:, :2], refits=0)
    assert found.name == "none" and "no irrep that was tried" in found.reason
    assert identify(high, SO2, "1x1", x[:, :2], refits=0, max_frequency=9).name == "1x9"


def test_an_offset_is_no_representation_but_is_told():
    found = identify(lambda x: x.mean(1) + 16, SO2, "points", torch.randn(40, 5, 2), shift=2.0)
    assert found.name == "none" and found.partial == "position"
    assert "only after a constant is taken off position" in found.reason


def test_half_of_an_answer_is_no_answer():
    def f(x):
        return np.concatenate([momentum(x), np.maximum(x[:, :3], 0)], axis=1)

    found = identify(f, O3, "2x1o", particles(), refits=0)
    assert found.name == "none" and found.partial == "1e" and found.linear_defect > 0.3
    assert "3 of 6 directions of the outputs move by no linear map" in str(found)


def test_certainty_falls_where_noise_hides_directions():
    random, x = np.random.default_rng(1), particles()

    def f(x):
        y = np.concatenate([x[:, :3], 0.02 * momentum(x)], axis=1)
        return y + 0.02 * random.normal(size=y.shape)

    found = identify(f, O3, "2x1o", x)
    assert found.name in ("1o", "none") and found.certainty == 0
    assert "noise drowns 3 directions" in str(found)


def test_noise_of_a_table_is_given():
    """A function that repeats its noise looks exact when it is called twice."""
    x = particles()

    def f(x):
        odd = np.sin(1e4 * np.cos(1e3 * x[:, :3]))
        return momentum(x) + 0.15 * odd

    assert identify(f, O3, "2x1o", x, refits=0).name == "none"
    assert identify(f, O3, "2x1o", x, refits=0, noise=0.08).name == "1e"
