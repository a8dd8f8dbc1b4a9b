"""Motions of space against scipy's, and distances between poses."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from eqvae.symmetry import (
    SpaceMotions,
    SpaceRotations,
    equal_poses,
    nearest_distance,
    pose_distance,
    space_motion,
    translation_of,
    turn_of,
    with_translation,
)
from eqvae.symmetry.space import inversion, mirror, rotation_matrix, rotation_part, spin_of_matrix
from eqvae.symmetry.space_motions import affine_matrix
from tests.cases import draw

SE3, E3 = SpaceMotions(), SpaceMotions(parity=True)
EXACT = {"rtol": 0, "atol": 1e-12}


def of_scipy(g: torch.Tensor) -> Rotation:
    return Rotation.from_quat(np.roll(g[:, 1:5].numpy(), -1, axis=1))


def test_rotations_are_those_of_scipy():
    g, h = (draw(SE3, 30, seed) for seed in (1, 2))
    a, b = of_scipy(g), of_scipy(h)
    close = torch.testing.assert_close
    close(rotation_part(g), torch.from_numpy(a.as_matrix()), **EXACT)
    close(
        rotation_part(SE3.compose(g, h)),
        torch.from_numpy((a * b).as_matrix()),
        **EXACT,
    )
    close(SE3.log(g)[:, :3], torch.from_numpy(a.as_rotvec()), **EXACT)
    u = torch.randn(30, 3, dtype=torch.float64)
    exp = torch.from_numpy(Rotation.from_rotvec(u.numpy()).as_matrix())
    close(rotation_part(SpaceRotations().exp(u)), exp, **EXACT)
    p = torch.randn(30, 3, dtype=torch.float64)
    close(SE3.act(g, p) - translation_of(g), torch.from_numpy(a.apply(p.numpy())), **EXACT)
    degrees = np.degrees((a.inv() * b).magnitude())
    close(pose_distance(g, h).degrees, torch.from_numpy(degrees), rtol=0, atol=1e-6)


def test_motions_are_those_of_scipy():
    transform = pytest.importorskip("scipy.spatial.transform")
    if not hasattr(transform, "RigidTransform"):
        pytest.skip("this scipy has no RigidTransform")
    g, h = (draw(SE3, 30, seed) for seed in (1, 2))
    rigid = transform.RigidTransform.from_matrix
    a, b = rigid(affine_matrix(g).numpy()), rigid(affine_matrix(h).numpy())
    close = torch.testing.assert_close
    product = torch.from_numpy((a * b).as_matrix())
    close(affine_matrix(SE3.compose(g, h)), product, **EXACT)
    close(affine_matrix(SE3.inverse(g)), torch.from_numpy(a.inv().as_matrix()), **EXACT)
    close(SE3.log(g), torch.from_numpy(a.as_exp_coords()), rtol=0, atol=1e-10)


def test_matrices_and_accessors():
    g = SE3.compose(draw(E3, 50, 3), SE3.identity(50, dtype=torch.float64))  # of unit length
    torch.testing.assert_close(spin_of_matrix(rotation_matrix(g)), turn_of(g), **EXACT)
    torch.testing.assert_close(space_motion(rotation_matrix(g), translation_of(g)), g, **EXACT)
    across = rotation_matrix(mirror(torch.randn(5, 3).double()))
    torch.testing.assert_close(rotation_matrix(spin_of_matrix(across)), across)
    half = SpaceRotations().exp(math.pi * torch.eye(3).double())  # w = 0, q and -q are both right
    torch.testing.assert_close(
        rotation_matrix(spin_of_matrix(rotation_matrix(half))), rotation_matrix(half)
    )
    assert space_motion(torch.eye(3), torch.ones(4, 3)).shape == (4, 8)
    with pytest.raises(ValueError, match="matrix must be orthogonal.*number 1 is off by 3"):
        space_motion(torch.stack([torch.eye(3), 2 * torch.eye(3)]))
    with pytest.raises(ValueError, match="matrix must be orthogonal"):
        space_motion(torch.full((3, 3), math.nan))


def test_distances_are_invariant_and_exact_near_zero_and_half_a_turn():
    axis = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    angles = torch.tensor([0.0, 1e-9, 1.0, 179.0, 179.9999999], dtype=torch.float64)
    g = draw(E3, 1, seed=4)
    moved = E3.compose(
        g.expand(5, 8), space_motion(SpaceRotations().exp(torch.deg2rad(angles)[:, None] * axis))
    )
    distance = pose_distance(g, moved)
    torch.testing.assert_close(distance.degrees, angles, rtol=1e-6, atol=1e-12)
    assert distance.shift.max() < 1e-12
    h = draw(E3, 5, seed=5)
    left = pose_distance(E3.compose(h, g.expand(5, 8)), E3.compose(h, moved))
    torch.testing.assert_close(left.degrees, angles, rtol=0, atol=1e-6)
    other = E3.compose(g, space_motion(inversion(dtype=torch.float64)))
    assert torch.isinf(pose_distance(g, other).degrees).all()


def test_the_pose_of_a_symmetric_object_is_a_set():
    """Six turns and flips leave a triangle as it is; a control, the single pose, says it is off."""
    third, flip = torch.tensor([[0.0, 0, 2 * math.pi / 3], [math.pi, 0, 0]]).double()
    turns = SE3.exp(
        torch.cat([k * third[None] for k in range(3)]).repeat(1, 2)
        * torch.tensor([1.0] * 3 + [0.0] * 3)
    )
    flipped = SE3.compose(turns, SE3.exp(torch.cat([flip, 0 * flip])[None]).expand(3, 8))
    stabiliser = torch.cat([turns, flipped])
    g = draw(SE3, 10, seed=6)
    found = SE3.compose(g, stabiliser[torch.arange(10) % 6])
    right = equal_poses(SE3, g, stabiliser)
    assert right.shape == (10, 6, 8)
    distance = nearest_distance(found, right)
    assert distance.degrees.max() < 1e-5 and distance.shift.max() < 1e-12
    assert pose_distance(found, g).degrees.max() > 100
    apart = nearest_distance(found[:1], with_translation(g[:1], translation_of(g[:1]) + 3.0))
    torch.testing.assert_close(apart.shift, torch.tensor([3 * math.sqrt(3)]).double())


def test_shifts_fill_a_ball_evenly():
    g = SE3.sample(20000, shift=2.0, generator=torch.Generator().manual_seed(0))
    radius = translation_of(g).norm(dim=1)
    assert radius.max() <= 2.0 and abs((radius < 1).float().mean() - 1 / 8) < 0.01
