"""Information by histograms equals scikit-learn's; by neighbours it equals closed forms in any basis."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from eqvae.metrics.disentanglement.histograms import (
    class_factors,
    histogram_bins,
    table_information,
)
from eqvae.metrics.disentanglement.information import block_information
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.whitening import whiten
from tests.metrics.disentanglement.codes import information

RNG = np.random.default_rng(0)


def test_table_information_is_that_of_scikit_learn() -> None:
    first, second = RNG.integers(5, size=(200, 3)), RNG.integers(4, size=(200, 2))
    mine = table_information(first, second)
    for d, f in np.ndindex(mine.shape):
        assert mine[d, f] == pytest.approx(mutual_info_score(first[:, d], second[:, f]), abs=1e-12)


def test_bins_of_equal_width_follow_the_public_protocol() -> None:
    z = RNG.normal(size=(500, 1))
    public = np.digitize(z[:, 0], np.histogram(z[:, 0], 20)[1][:-1]) - 1
    np.testing.assert_array_equal(histogram_bins(z)[:, 0], public)


def test_bins_of_equal_mass() -> None:
    counts = np.bincount(histogram_bins(RNG.normal(size=(1000, 1)), quantile=True)[:, 0])
    assert len(counts) == 20 and np.ptp(counts) <= 2


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_gaussian_information(correlation: float) -> None:
    z = RNG.normal(size=(2000, 1))
    v = correlation * z + np.sqrt(1 - correlation**2) * RNG.normal(size=(2000, 1))
    known = block_information(z, {"v": v}, permutations=0)
    exact = -0.5 * np.log(1 - correlation**2)
    assert known.terms.mean() == pytest.approx(exact, abs=0.06)


def test_a_noiseless_code_of_a_class_knows_its_entropy() -> None:
    labels = RNG.integers(4, size=1500)
    known = block_information(np.eye(4)[labels], {"v": labels}, blocks={"b": [0, 1, 2, 3]})
    assert known.terms.mean() == pytest.approx(np.log(4), abs=0.01)
    assert known.normalised()[0, 0] == pytest.approx(1, abs=0.01)


def test_a_grid_of_equal_distances_knows_nothing_of_an_independent_class() -> None:
    reference = reference_codes("se2", n=1500)
    position = reference.codes[:, 4:]
    known = block_information(
        position, {"shape": reference.factors["shape"]}, blocks={"position": [0, 1]}
    )
    assert abs(known.terms.mean()) < 0.03


def test_a_basis_inside_blocks_does_not_matter() -> None:
    first, second = information("se2"), information("se2", turned=True)
    np.testing.assert_allclose(first.normalised(), second.normalised(), atol=1e-6)


def test_constant_blocks_and_factors_are_dropped_and_named() -> None:
    codes = np.concatenate([RNG.normal(size=(100, 1)), np.ones((100, 1))], axis=1)
    known = block_information(codes, {"a": np.zeros(100, int), "b": RNG.integers(2, size=100)})
    assert known.blocks == ("0",) and known.factors == ("b",) and known.dropped == ("1", "a")


def test_noise_is_not_active() -> None:
    known = information("axis_noise")
    assert dict(zip(known.blocks, known.active, strict=True)) == {
        "shape": True,
        "scale": True,
        "orientation": True,
        "position": True,
        "noise": False,
    }


def test_whitening_drops_repeated_and_constant_directions() -> None:
    z = RNG.normal(size=(100, 2))
    wide = np.concatenate([z, z[:, :1] - 2 * z[:, 1:], np.full((100, 1), 1e3)], axis=1)
    white = whiten(wide)
    assert white.shape == (100, 2)
    np.testing.assert_allclose(white.T @ white / 100, np.eye(2), atol=1e-10)


def test_class_factors() -> None:
    angle = 2 * np.pi * RNG.integers(8, size=300) / 8
    classes = class_factors(
        {
            "turn": np.stack([np.cos(angle), np.sin(angle)], axis=1),
            "place": RNG.normal(size=(300, 2)),
            "kind": RNG.integers(3, size=300) * 5,
        },
        300,
    )
    assert {name: v.max() + 1 for name, v in classes.items()} == {
        "turn": 8,
        "place[0]": 20,
        "place[1]": 20,
        "kind": 3,
    }


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match=r"more than neighbours \+ 1 = 6 rows; got 4"):
        block_information(np.ones((4, 2)), {"v": np.arange(4)})
