"""Pose leak, content invariance and cluster change: planted leaks, chance, constants, errors."""

import numpy as np
import pytest

from eqvae.metrics import cluster_change, content_invariance, pose_leak

N = 600


@pytest.fixture(scope="module")
def pose():
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, 2 * np.pi, N)
    return np.column_stack([np.zeros(N), angle, 3 * generator.normal(size=(N, 2))])


@pytest.fixture(scope="module")
def content():
    return np.random.default_rng(1).normal(size=(N, 4))


def test_content_without_pose_leaks_no_more_than_shuffled_poses(content, pose):
    scores = pose_leak(content, pose)
    for score in scores.values():
        assert score.value < max(score.floor, 0) + 0.1 and score.better == "lower"
    for part in ("angle", "position"):
        best = scores[f"{part}/best"]
        assert abs(best.value - best.floor) < 4 * best.std + 0.02
    assert scores["angle/knn"].floor == pytest.approx(-0.1, abs=0.06)  # -1 / k, not 0


@pytest.mark.parametrize("frequency", [1, 2, 4])
def test_a_leak_shows_at_its_frequency_alone(content, pose, frequency):
    leaking = content.copy()
    leaking[:, 0] = np.cos(frequency * pose[:, 1])
    leaking[:, 1] = np.sin(frequency * pose[:, 1])
    scores = pose_leak(leaking, pose, probes=("linear", "knn"))
    for k in (1, 2, 4):
        name = "angle" if k == 1 else f"angle_{k}"
        assert (scores[f"{name}/linear"].value > 0.99) == (k == frequency)
    assert scores["angle/best"].value > 0.9
    assert scores["position/best"].value < 0.1


def test_a_leak_that_no_linear_probe_sees(content, pose):
    leaking = content.copy()
    # the sign of x is in the product of two columns and in neither alone
    sign = np.sign(content[:, 1])
    leaking[:, 0] = sign * pose[:, 2]
    leaking[:, 1] = sign
    scores = pose_leak(leaking, pose, frequencies=(1,))
    assert scores["position/gbt"].value > 0.3 > 0.1 > scores["position/linear"].value
    assert scores["position/best"].value > 0.3


def test_a_class_with_its_own_poses_is_a_leak_unless_asked_within_classes():
    generator = np.random.default_rng(0)
    classes = np.arange(N) % 3
    angle = classes * 2 * np.pi / 3 + 0.3 * generator.normal(size=N)
    pose = np.column_stack([np.zeros(N), angle, generator.normal(size=(N, 2))])
    content = np.eye(3)[classes] + 0.1 * generator.normal(size=(N, 3))
    options = {"probes": ("linear", "knn"), "frequencies": (1,)}
    assert pose_leak(content, pose, **options)["angle/linear"].value > 0.8
    assert pose_leak(content, pose, classes=classes, **options)["angle/best"].value < 0.1
    content[:, 0] += angle - classes * 2 * np.pi / 3
    assert pose_leak(content, pose, classes=classes, **options)["angle/best"].value > 0.5


def test_groups_keep_sources_apart(content, pose):
    sources = np.arange(N) // 10
    content, pose = content[sources] + 1e-3 * content, pose[sources]
    options = {"probes": ("knn",), "frequencies": (1,)}
    assert pose_leak(content, pose, **options)["angle/knn"].value > 0.5  # recognises the source
    grouped = pose_leak(content, pose, groups=sources, **options)["angle/knn"]
    assert grouped.value < 0.2 and grouped.n == N / 3


def test_pose_leak_null_and_errors(content, pose):
    unknown = np.full_like(pose, np.nan)
    assert {s.reason for s in pose_leak(content, unknown).values()} == {"the pose is unknown"}
    scores = pose_leak(content, pose * [1, 0, 1, 1], probes=("linear",))
    assert scores["angle/best"].reason == "the angle does not vary"
    assert scores["position/linear"].value is not None
    assert "constant" in pose_leak(np.ones((N, 2)), pose)["angle/knn"].reason
    assert "50 rows" in pose_leak(content[:20], pose[:20])["angle/gbt"].reason
    few = pose_leak(content, pose, groups=np.arange(N) % 3, probes=("linear",))
    assert "4 sources" in few["angle/best"].reason
    four = pose_leak(content, pose, groups=np.arange(N) % 4, probes=("linear",))
    assert four["angle/best"].value is not None
    pose = pose.copy()
    pose[3, 1] = np.nan
    with pytest.raises(ValueError, match="pose angle must be finite; 1 of 600"):
        pose_leak(content, pose)
    with pytest.raises(ValueError, match=r"pose must be motions .* got \(600, 3\)"):
        pose_leak(content, pose[:, :3])
    with pytest.raises(ValueError, match="probes must be from linear, knn, gbt; got 'mlp'"):
        pose_leak(content, pose, probes=("mlp",))


def test_invariant_content_is_perfect_and_random_content_at_the_floor(content):
    moved = np.stack([content, content])
    scores = content_invariance(content, moved)
    assert {k: s.value for k, s in scores.items()} == {
        "change": 0.0,
        "neighbour_ratio": 0.0,
        "retrieval": 1.0,
    }
    generator = np.random.default_rng(0)
    scores = content_invariance(
        content, np.stack([generator.permutation(content) for _ in range(4)])
    )
    assert scores["change"].floor == pytest.approx(2**0.5, abs=2e-3)
    for score in scores.values():
        assert score.value == pytest.approx(score.floor, rel=0.1, abs=0.01)


def test_change_is_the_planted_ratio_and_free_of_scale_and_basis(content):
    generator = np.random.default_rng(2)
    moved = content + 0.1 * generator.normal(size=(3, N, 4))
    basis = np.linalg.qr(generator.normal(size=(4, 4)))[0]
    before = content_invariance(content, moved)
    after = content_invariance(7 * content @ basis + 3, 7 * moved @ basis + 3)
    assert before["change"].value == pytest.approx(0.1, rel=0.05)
    for key, score in before.items():
        assert after[key].value == pytest.approx(score.value)


def test_kinds_of_motions_are_scored_apart(content):
    moved = np.stack([content, content, np.roll(content, 1, axis=0)])
    scores = content_invariance(content, moved, motions=["rotation", "rotation", "flip"])
    assert scores["change/rotation"].value == 0 and scores["retrieval/rotation"].value == 1
    assert scores["change/flip"].value > 1.3 and scores["retrieval/flip"].value == 0
    assert scores["retrieval"].value == pytest.approx(2 / 3)


def test_poses_of_one_source_are_no_rivals(content):
    sources = np.arange(N) // 4
    content = content[sources]  # four poses, one content
    moved = content[None] + 1e-3
    assert content_invariance(content, moved)["neighbour_ratio"].value is None
    grouped = content_invariance(content, moved, groups=sources)
    assert grouped["retrieval"].value == 1 and grouped["neighbour_ratio"].value < 0.05


def test_constant_content_is_not_perfect():
    constant = np.ones((50, 3))
    for score in content_invariance(constant, constant[None]).values():
        assert score.value is None and "same for every image" in score.reason
    one = content_invariance(np.eye(3), np.eye(3)[None], groups=[5, 5, 5])
    assert "only one source" in one["retrieval"].reason
    score = cluster_change(np.zeros(50, int), np.zeros((2, 50), int))["cluster_change"]
    assert score.value is None and "one cluster" in score.reason


def test_cluster_change_counts_and_its_chance():
    clusters = np.array([0, 0, 0, 3])
    moved = np.array([[0, 0, 0, 3], [3, 0, 0, 0]])
    scores = cluster_change(clusters, moved, motions=["shift", "rotation"])
    assert scores["cluster_change"].value == 0.25
    assert scores["cluster_change/shift"].value == 0
    assert scores["cluster_change/rotation"].value == 0.5
    assert scores["cluster_change"].floor == pytest.approx(1 - 9 / 16 - 1 / 16)
    generator = np.random.default_rng(0)
    clusters = generator.choice(3, size=2000, p=[0.6, 0.3, 0.1])
    score = cluster_change(clusters, generator.permutation(clusters)[None])["cluster_change"]
    assert score.interval[0] < score.floor < score.interval[1]


def test_shapes_and_names_are_checked(content):
    with pytest.raises(ValueError, match=r"moved must be \(M, N, D\)"):
        content_invariance(content, content[None, 1:])
    with pytest.raises(ValueError, match="kind of each of the 2 motions; got 1"):
        content_invariance(content, np.stack([content, content]), motions=["flip"])
    with pytest.raises(ValueError, match=r"moved must be \(M, N\) with N = 4"):
        cluster_change(np.arange(4), np.zeros((1, 5), int))
    with pytest.raises(ValueError, match="moved must be known; 1 of 4 are negative"):
        cluster_change(np.arange(4), np.array([[0, 1, 2, -1]]))
