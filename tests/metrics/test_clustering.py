"""Clustering scores: hand values, agreement with libraries, laws of names and padding, chance."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics import clustering as tm

from eqvae.metrics import (
    HungarianAccuracy,
    cluster,
    clustering_scores,
    content_clustering,
)
from eqvae.metrics.clustering.clusterers import METHODS
from eqvae.metrics.clustering.partitions import matched_accuracy, purity


@pytest.fixture(scope="module")
def noisy():
    """Clusters that agree with 5 classes in about two thirds of 500 samples."""
    generator = np.random.default_rng(0)
    labels = generator.integers(5, size=500)
    random = generator.integers(5, size=500)
    return np.where(generator.random(500) < 0.4, random, labels), labels


@pytest.fixture(scope="module")
def blobs():
    """Three Gaussians of sd 0.3 in 4 dimensions, 10 apart; content and labels of 240 samples."""
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 80)
    return 10 * np.eye(3, 4)[labels] + 0.3 * generator.normal(size=(240, 4)), labels


def values(scores):
    return {name: score.value for name, score in scores.items()}


def test_hand_values():
    table = np.array([[5, 1, 0], [1, 4, 1], [0, 2, 3]])
    assert matched_accuracy(table) == pytest.approx(12 / 17)
    assert purity(table) == pytest.approx(12 / 17)
    # two clusters share a commonest class: purity counts both, accuracy matches one
    table = np.array([[6, 0], [5, 1]])
    assert purity(table) == pytest.approx(11 / 12)
    assert matched_accuracy(table) == pytest.approx(7 / 12)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # inside torchmetrics
def test_agrees_with_scikit_learn_and_torchmetrics(noisy):
    predicted, labels = noisy
    ours = clustering_scores(predicted, labels, preset="fast")
    tensors = torch.as_tensor(predicted), torch.as_tensor(labels)
    assert ours["ari"].value == pytest.approx(sk.adjusted_rand_score(labels, predicted), abs=1e-12)
    assert ours["nmi"].value == pytest.approx(
        sk.normalized_mutual_info_score(labels, predicted), abs=1e-12
    )
    assert ours["ami"].value == pytest.approx(
        sk.adjusted_mutual_info_score(labels, predicted), abs=1e-9
    )
    assert ours["ari"].value == pytest.approx(float(tm.AdjustedRandScore()(*tensors)), abs=1e-5)
    assert ours["nmi"].value == pytest.approx(
        float(tm.NormalizedMutualInfoScore()(*tensors)), abs=1e-5
    )
    assert ours["ami"].value == pytest.approx(
        float(tm.AdjustedMutualInfoScore()(*tensors)), abs=1e-5
    )


def test_names_of_clusters_and_classes_do_not_matter(noisy):
    predicted, labels = noisy
    names = np.array([70, 3, 11, 0, 42])
    before, after = (
        clustering_scores(p, k, preset="fast")
        for p, k in ((predicted, labels), (names[predicted], names[::-1][labels]))
    )
    assert values(after) == pytest.approx(values(before))


def test_perfect_partition_reads_one_and_random_one_its_floor(noisy):
    _, labels = noisy
    assert set(values(clustering_scores((labels + 1) % 5, labels, preset="fast")).values()) == {1.0}
    random = np.random.default_rng(7).integers(5, size=500)
    for score in clustering_scores(random, labels).values():
        low, high = score.interval
        assert score.value == pytest.approx(score.floor, abs=2 * (high - low))
        assert score.value < 0.3
    assert clustering_scores(random, labels)["purity"].floor > 0.2  # chance is not zero, nor 1 / 5


def test_more_or_fewer_clusters_than_classes_are_padded():
    labels = np.repeat([0, 1, 2, 3], [40, 30, 20, 10])
    split = np.where(np.arange(100) < 20, 9, labels)  # class 0 in two clusters
    more = clustering_scores(split, labels, preset="fast")
    assert more["accuracy"].value == pytest.approx(0.8) and more["accuracy"].ceiling == 1.0
    assert more["purity"].value == 1.0  # blind to splitting
    merged = np.minimum(labels, 1)
    fewer = clustering_scores(merged, labels, preset="fast")
    assert fewer["accuracy"].value == pytest.approx(0.7) == fewer["accuracy"].ceiling
    assert fewer["nmi"].ceiling is None


def test_purity_rewards_one_cluster_a_sample_and_ari_does_not():
    labels = np.random.default_rng(0).integers(4, size=60)
    scores = clustering_scores(np.arange(60), labels, preset="fast")
    assert scores["purity"].value == 1.0 == pytest.approx(scores["purity"].floor)
    assert scores["ari"].value == pytest.approx(0, abs=1e-12)
    assert scores["ami"].value == pytest.approx(0, abs=1e-6)


def test_groups_widen_the_interval():
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.integers(3, size=40), 25)
    wrong = np.repeat(generator.random(40) < 0.4, 25)  # whole sources are wrong
    predicted = np.where(wrong, (labels + 1) % 3, labels)
    rows = clustering_scores(predicted, labels)["accuracy"]
    sources = clustering_scores(predicted, labels, groups=np.repeat(np.arange(40), 25))["accuracy"]
    assert np.diff(sources.interval) > 3 * np.diff(rows.interval)


@pytest.mark.parametrize("method", METHODS)
def test_every_clusterer_finds_separate_blobs_in_any_basis(blobs, method):
    content, labels = blobs
    basis = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    with_constant = np.column_stack([1e3 * content @ basis + 7, np.full(240, 3.0)])
    for codes in (content, with_constant):
        predicted = cluster(codes, 3, method)
        assert sk.adjusted_rand_score(labels, predicted) == 1.0
    assert np.array_equal(cluster(content, 3, method, seed=5), cluster(content, 3, method, seed=5))


def test_collapsed_dimensions_are_not_raised_to_the_height_of_the_signal():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    signal = 4.0 * labels + 0.5 * generator.normal(size=200)
    content = np.column_stack([signal, 0.01 * generator.standard_t(2, size=(200, 10))])
    assert sk.adjusted_rand_score(labels, cluster(content, 2, "kmeans")) > 0.98
    standardised = (content - content.mean(0)) / content.std(0)
    assert sk.adjusted_rand_score(labels, cluster(standardised, 2, "agglomerative")) < 0.9


def test_ward_on_some_rows_assigns_the_rest_to_the_nearest_mean(blobs):
    content, labels = blobs
    predicted = cluster(content, 3, "agglomerative", ward_rows=60)
    assert predicted.shape == labels.shape and sk.adjusted_rand_score(labels, predicted) == 1.0


def test_clustering_averages_over_seeds_and_never_takes_the_best():
    generator = np.random.default_rng(3)
    labels = generator.integers(6, size=300)
    content = 1.2 * generator.normal(size=(6, 3))[labels] + 0.5 * generator.normal(size=(300, 3))
    scores = content_clustering(content, labels, methods=("kmeans",), num_seeds=5)
    single = [
        clustering_scores(cluster(content, 6, "kmeans", seed=s), labels, preset="fast")["ari"].value
        for s in range(5)
    ]
    score = scores["kmeans/ari"]
    assert score.value == pytest.approx(np.mean(single)) and score.value < max(single)
    assert score.std == pytest.approx(np.std(single, ddof=1)) and score.std > 0
    low, high = score.interval
    assert low < score.value < high and score.n == 300
    again = content_clustering(content, labels, methods=("kmeans",), num_seeds=5)
    assert again == scores


def test_content_without_classes_reads_the_floor(blobs):
    content, labels = blobs
    shuffled = np.random.default_rng(0).permutation(labels)
    for name, score in content_clustering(content, shuffled, num_seeds=2).items():
        assert abs(score.value - score.floor) < 0.1, name


def test_torchmetrics_class_gives_the_same_number(noisy):
    predicted, labels = noisy
    metric = HungarianAccuracy(num_clusters=7, num_classes=5)
    for p, k in zip(np.array_split(predicted, 7), np.array_split(labels, 7), strict=True):
        metric.update(torch.as_tensor(p), torch.as_tensor(k))
    whole = clustering_scores(predicted, labels, preset="fast")["accuracy"].value
    assert float(metric.compute()) == pytest.approx(whole, abs=1e-7)
    metric.reset()
    assert metric.table.sum() == 0
    with pytest.raises(ValueError, match=r"labels must be within 0\.\.4; got 0 to 5"):
        metric.update(torch.tensor([0, 1]), torch.tensor([0, 5]))


def test_what_the_data_do_not_allow_is_null_with_its_reason(blobs):
    content, labels = blobs
    few = content_clustering(content[:4], np.array([0, 1, 0, 1]), num_clusters=5)
    assert "4 samples are fewer than 5 clusters" in few["kmeans/ari"].reason
    constant = content_clustering(np.ones((30, 3)), np.arange(30) % 2)
    assert all("constant" in score.reason for score in constant.values())
    repeated = content_clustering(np.repeat(np.eye(2), 15, axis=0), np.arange(30) % 3)
    assert "2 distinct rows" in repeated["gaussian_mixture/nmi"].reason
    one = content_clustering(content, np.zeros(240, int), num_clusters=3, methods=("kmeans",))
    assert {score.reason for score in one.values()} == {"there is only one class"}
    with pytest.raises(ValueError, match="fewer than 5 clusters. Ask for fewer"):
        cluster(content[:4], 5)


def test_mistakes_are_errors(blobs):
    content, labels = blobs
    with pytest.raises(ValueError, match="content must be finite; 1 of 960"):
        content_clustering(np.where(np.arange(960).reshape(240, 4) == 8, np.nan, content), labels)
    with pytest.raises(ValueError, match="content 240, labels 239"):
        content_clustering(content, labels[1:])
    with pytest.raises(ValueError, match="labels must be known; 240 of 240 are negative"):
        content_clustering(content, labels - 5)
    with pytest.raises(ValueError, match="method must be one of .*; got 'ward'"):
        cluster(content, 3, "ward")
    with pytest.raises(ValueError, match="preset must be one of fast, full; got 'dlib'"):
        clustering_scores(labels, labels, preset="dlib")
