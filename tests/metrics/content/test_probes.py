"""Probe accuracy and effective rank: known codes, chance, groups, null and errors."""

import numpy as np
import pytest

from eqvae.metrics import effective_rank, probe_accuracy


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(0).choice(3, size=300, p=[0.5, 0.3, 0.2])


def test_content_that_is_the_class_is_read_perfectly_and_noise_at_the_floor(labels):
    noise = np.random.default_rng(1).normal(size=(300, 4))
    known = probe_accuracy(10 * np.eye(3, 4)[labels] + noise, labels)
    chance = probe_accuracy(noise, labels)
    for probe in ("linear", "knn"):
        assert known[probe].value == 1.0 == known[probe].ceiling
        assert chance[probe].floor == pytest.approx(np.bincount(labels).max() / 300)
        assert chance[probe].value < chance[probe].floor + 0.05
        assert known[probe].n == 300


def test_a_ring_is_read_by_neighbours_alone():
    generator = np.random.default_rng(0)
    labels, angle = np.arange(400) % 2, generator.uniform(0, 2 * np.pi, 400)
    ring = (1 + 2 * labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    scores = probe_accuracy(ring, labels)
    assert scores["knn"].value > 0.95 and scores["linear"].value < 0.65


def test_groups_catch_copies_of_one_source():
    generator = np.random.default_rng(0)
    sources = np.repeat(np.arange(40), 10)
    content = generator.normal(size=(40, 5))[sources] + 0.01 * generator.normal(size=(400, 5))
    labels = generator.integers(2, size=40)[sources]
    assert probe_accuracy(content, labels)["knn"].value == 1.0  # it recognises the source
    assert probe_accuracy(content, labels, groups=sources)["knn"].value < 0.75


def test_effective_rank_of_known_spectra():
    codes = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 4)))[0]
    codes = np.linalg.qr(codes - codes.mean(axis=0))[0]  # centred, orthonormal columns
    assert effective_rank(codes)["effective_rank"].value == pytest.approx(4)
    assert effective_rank(codes[:, :1] * [1.0, 2, 3])["effective_rank"].value == pytest.approx(
        1, abs=1e-5
    )
    two = effective_rank(codes * [3, 1, 0, 0])["effective_rank"]
    assert two.value == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))
    assert two.floor == 1 and two.ceiling == 4


def test_effective_rank_is_free_of_basis_scale_and_offset():
    codes = np.random.default_rng(0).normal(size=(100, 3)) * [3, 2, 1]
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    rank = effective_rank(codes)["effective_rank"].value
    assert effective_rank(5 * codes @ basis + 100)["effective_rank"].value == pytest.approx(rank)
    assert effective_rank(codes + 100, centred=False)["effective_rank"].value < 1.5  # RankMe


def test_null_and_errors(labels):
    constant = np.ones((300, 2))
    assert "constant" in probe_accuracy(constant, labels)["linear"].reason
    assert "constant" in effective_rank(constant)["effective_rank"].reason
    assert "single row" in effective_rank(constant[:1])["effective_rank"].reason
    noise = np.random.default_rng(0).normal(size=(300, 2))
    assert probe_accuracy(noise, 0 * labels)["knn"].reason == "there is only one class"
    assert "3 sources are too few" in probe_accuracy(noise, labels, groups=labels)["knn"].reason
    with pytest.raises(ValueError, match="probes must be from linear, knn; got gbt"):
        probe_accuracy(noise, labels, probes=("gbt",))
    with pytest.raises(ValueError, match="content 300, labels 299"):
        probe_accuracy(noise, labels[1:])
