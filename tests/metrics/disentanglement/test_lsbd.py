import numpy as np
import pytest
import torch

from eqvae.metrics.disentanglement.lsbd import d_lsbd
from eqvae.metrics.disentanglement.lsbd_reference import d_lsbd_reference

REGULAR = np.tile(2 * np.pi * np.arange(24) / 24, 6)
OBJECTS = np.repeat(np.arange(6), 24)
IRREGULAR = np.random.default_rng(3).uniform(-5, 9, size=len(REGULAR))


def circle(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def torus(size=16):
    a, b = np.meshgrid(*[2 * np.pi * np.arange(size) / size] * 2, indexing="ij")
    return a, b, np.concatenate([circle(a), circle(b)], axis=-1)


@pytest.mark.parametrize("angles", [REGULAR, IRREGULAR], ids=["grid", "irregular"])
def test_perfect_code_is_0_in_any_orthogonal_basis_and_scale(angles):
    generator = np.random.default_rng(0)
    radius, phase = generator.uniform(0.5, 2, size=6)[OBJECTS], OBJECTS * 0.7
    codes = np.concatenate(
        [radius[:, None] * circle(angles + phase), circle(angles - phase)], axis=1
    )
    basis, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    for z in (codes, 3 * codes @ basis + 5, torch.tensor(codes)):
        scores = d_lsbd(z, angles, objects=OBJECTS)
        assert scores["d_lsbd"].value < 1e-9
        assert scores["codes/omega"].value == 1
        assert scores["d_lsbd"].floor > 0.9


@pytest.mark.parametrize("angles", [REGULAR, IRREGULAR], ids=["grid", "irregular"])
def test_imperfect_code_is_unchanged_by_an_orthogonal_basis(angles):
    generator = np.random.default_rng(0)
    codes = np.concatenate([circle(angles) * [1, 0.5], circle(angles + OBJECTS)], axis=1)
    codes += 0.3 * generator.normal(size=codes.shape)
    basis, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    before = d_lsbd(codes, angles, objects=OBJECTS)["d_lsbd"].value
    assert d_lsbd(codes @ basis, angles, objects=OBJECTS)["d_lsbd"].value == pytest.approx(
        before, abs=1e-6
    )


def test_ellipse_is_not_whitened_away():
    scores = d_lsbd(circle(REGULAR) * [1, 0.1], REGULAR)
    assert scores["d_lsbd"].value == pytest.approx((1 - 0.1) ** 2 / (2 * 1.01), abs=1e-9)  # 0.401
    assert scores["codes/anisotropy"].value == pytest.approx(0.401, abs=5e-4)
    assert scores["codes/residual"].value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("beside", [True, False], ids=["other plane", "same plane"])
def test_leftovers_at_another_frequency_count(beside):
    first, third = circle(REGULAR), 0.9 * circle(3 * REGULAR)
    codes = np.concatenate([first, third], axis=1) if beside else first + third
    scores = d_lsbd(codes, REGULAR)
    assert scores["d_lsbd"].value == pytest.approx(0.81 / 1.81, abs=1e-9)
    assert scores["codes/residual"].value == pytest.approx(0.81 / 1.81, abs=1e-9)


def test_frequency_2_is_found_and_fails_where_1_is_required():
    codes = circle(2 * REGULAR)
    scores = d_lsbd(codes, REGULAR)
    assert scores["codes/omega"].value == 2
    assert scores["codes/d_lsbd_any"].value == pytest.approx(0, abs=1e-9)
    assert scores["codes/d_lsbd"].value == pytest.approx(1, abs=1e-9)
    named = d_lsbd(codes, REGULAR, blocks={"psi2": [0, 1]}, frequencies={"psi2": 2})
    assert named["d_lsbd"].value == pytest.approx(0, abs=1e-9)


def test_constant_block_is_defined_and_says_why():
    scores = d_lsbd(np.full((len(REGULAR), 2), 0.3), REGULAR, objects=OBJECTS)
    assert scores["d_lsbd"].value == 1
    assert "constant" in scores["codes/d_lsbd"].reason
    assert scores["codes/omega"].value is None
    square = d_lsbd(np.full((len(REGULAR), 2), 0.3), REGULAR, objects=OBJECTS, stabiliser=4)
    assert square["d_lsbd"].value is None
    assert "as it must be" in square["d_lsbd"].reason


def test_noise_reads_its_floor():
    codes = np.random.default_rng(0).normal(size=(len(REGULAR), 2))
    score = d_lsbd(codes, REGULAR, objects=OBJECTS)["d_lsbd"]
    assert score.value == pytest.approx(score.floor, abs=0.06)
    assert score.value > 0.85


@pytest.mark.parametrize("k", [2, 4])
def test_symmetric_object_may_sit_in_any_of_its_poses(k):
    branch = np.random.default_rng(0).integers(k, size=len(REGULAR))
    codes = circle(REGULAR + OBJECTS + 2 * np.pi * branch / k)
    assert d_lsbd(codes, REGULAR, objects=OBJECTS)["d_lsbd"].value > 0.8
    score = d_lsbd(codes, REGULAR, objects=OBJECTS, stabiliser=k)["d_lsbd"]
    assert score.value < 1e-9
    assert score.floor > 0.1  # k centres fit noise better than one


def test_translation_up_to_turn_scale_and_origin_but_not_mirror():
    generator = np.random.default_rng(0)
    positions = generator.normal(scale=4, size=(len(REGULAR), 2))
    plane = np.array([1, 1j])
    origin = generator.normal(size=6)[OBJECTS] + 1j
    t = 2 * np.exp(0.3j) * (positions @ plane) + np.exp(1j * REGULAR) * origin + 7
    codes = np.concatenate([np.stack([t.real, t.imag], axis=1), circle(REGULAR)], axis=1)
    known = {
        "positions": positions,
        "objects": OBJECTS,
        "blocks": {"position": [0, 1], "psi1": [2, 3]},
    }
    scores = d_lsbd(codes, REGULAR, **known)
    assert scores["d_lsbd"].value < 1e-9
    assert scores["position/scale"].value == pytest.approx(2, abs=1e-9)
    mirrored = d_lsbd(codes * [-1, 1, 1, 1], REGULAR, **known)
    assert mirrored["position/d_lsbd"].value > 0.8
    alone = known | {
        "objects": np.arange(len(REGULAR))
    }  # an origin for each sample would fit anything
    assert "free origin" in d_lsbd(codes, REGULAR, **alone)["position/d_lsbd"].reason
    known["positions"] = None
    assert "no true positions" in d_lsbd(codes, REGULAR, **known)["d_lsbd"].reason


def test_too_few_angles_is_null():
    angles = np.tile([0, 1.0, 2.0], 20)
    scores = d_lsbd(circle(angles), angles, objects=np.repeat(np.arange(20), 3))
    assert scores["d_lsbd"].value is None
    assert "4 different angles" in scores["d_lsbd"].reason


def test_bad_input():
    codes = circle(REGULAR)
    with pytest.raises(ValueError, match="must be finite"):
        d_lsbd(codes * np.nan, REGULAR)
    with pytest.raises(ValueError, match="one row for each sample"):
        d_lsbd(codes, REGULAR[:-1])
    with pytest.raises(ValueError, match="stabiliser must be the order"):
        d_lsbd(codes, REGULAR, stabiliser=0)
    with pytest.raises(ValueError, match="at least 1; got 0 for 'codes'"):
        d_lsbd(codes, REGULAR, frequencies={"codes": 0})
    with pytest.raises(ValueError, match="must name turning blocks"):
        d_lsbd(codes, REGULAR, frequencies={"psi1": 1})
    with pytest.raises(ValueError, match="two columns"):
        d_lsbd(codes, REGULAR, positions=codes[:, :1])


def test_reference_protocol_and_its_blind_spots():
    a, b, perfect = torus()
    noise = np.random.default_rng(0).normal(size=(4, 4))

    def value(codes):
        return d_lsbd_reference(codes)["d_lsbd_reference"].value

    assert value(perfect) < 1e-9
    assert value(perfect @ noise) < 1e-9
    assert value(perfect * [1, 0.1, 1, 0.1]) < 1e-9  # whitened away
    assert value(np.concatenate([perfect, 0.9 * circle(3 * a)], axis=-1)) < 1e-9  # out of sight
    assert value(np.concatenate([circle(2 * a), circle(2 * b)], axis=-1)) < 1e-9  # any frequency
    assert d_lsbd_reference(perfect * [0, 0, 1, 1])["d_lsbd_reference"].value is None  # 0 / 0
    wide = torus(32)
    radius = (1 + 0.5 * np.cos(wide[1]))[..., None] * circle(wide[0])
    assert value(np.concatenate([radius, circle(wide[1])], axis=-1)) == pytest.approx(
        0.056, abs=5e-4
    )
    half = torus(24)
    cos_only = np.concatenate([np.cos(half[0])[..., None], circle(half[1])], axis=-1)
    assert value(cos_only) == pytest.approx(0.374, abs=5e-4)
    random = np.random.default_rng(0).normal(size=(32, 32, 4))
    assert value(random) == pytest.approx(0.995, abs=0.0015)
