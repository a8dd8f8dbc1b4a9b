"""Motions are the group E(2): every law against 3x3 matrices."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.symmetry import Similarities, compose, identity, inverse, motion, retract
from eqvae.symmetry.motions import apply, cos_sin, linear_part
from tests.cases import BY_NAME, draw
from tests.cases import SYMMETRIES as PLANE

SYMMETRIES = [*PLANE, Similarities(), Similarities(reflections=True)]


def matrices(g: Tensor) -> Tensor:
    """Homogeneous matrices, written down once more: T(x, y) e^log_scale R(angle) F^reflection."""
    result = []
    for reflection, angle, x, y, *log_scale in g.tolist():
        size = math.exp(sum(log_scale))
        c, s = size * math.cos(angle), size * math.sin(angle)
        turn = torch.tensor([[c, -s, x], [s, c, y], [0, 0, 1]], dtype=torch.float64)
        mirror = torch.diag(torch.tensor([1.0, -1.0 if reflection else 1.0, 1.0]).double())
        result.append(turn @ mirror)
    return torch.stack(result)


@pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)
def test_the_product_is_that_of_the_matrices(symmetry):
    g, h = draw(symmetry, 20, seed=1), draw(symmetry, 20, seed=2)
    torch.testing.assert_close(matrices(compose(g, h)), matrices(g) @ matrices(h))
    torch.testing.assert_close(linear_part(g), matrices(g)[:, :2, :2])


@pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)
def test_group_laws(symmetry):
    a, b, c = (draw(symmetry, 20, seed) for seed in (1, 2, 3))
    e = symmetry.identity(20, dtype=torch.float64)
    torch.testing.assert_close(compose(compose(a, b), c), compose(a, compose(b, c)))
    assert torch.equal(compose(a, e), a) and torch.equal(compose(e, a), a)
    torch.testing.assert_close(compose(a, inverse(a)), e)
    torch.testing.assert_close(compose(inverse(a), a), e)
    torch.testing.assert_close(matrices(inverse(a)), torch.linalg.inv(matrices(a)))


@pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)
def test_points_move_by_the_matrices(symmetry):
    g, h = draw(symmetry, 5, seed=1), draw(symmetry, 5, seed=2)
    points = torch.randn(5, 7, 2, dtype=torch.float64)
    homogeneous = torch.cat([points, torch.ones(5, 7, 1, dtype=torch.float64)], dim=2)
    expected = (homogeneous @ matrices(g).mT)[..., :2]
    torch.testing.assert_close(apply(g, points), expected)
    torch.testing.assert_close(apply(g, points[:, 0]), expected[:, 0])
    torch.testing.assert_close(apply(compose(g, h), points), apply(g, apply(h, points)))


def test_angles_turn_counter_clockwise_and_mirrors_come_first():
    right = torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(apply(motion(angle=math.pi / 2), right), torch.tensor([[0.0, 1.0]]))
    up = torch.tensor([[0.0, 1.0]])
    mirrored = motion(angle=math.pi / 2, shift=(5.0, 0.0), reflection=1.0)
    torch.testing.assert_close(apply(mirrored, up), torch.tensor([[6.0, 0.0]]))  # down, then right


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quarter_turns_have_no_rounding(dtype):
    quarters = torch.arange(-9, 10)
    cos, sin = cos_sin(quarters.to(dtype) * (math.pi / 2))
    assert cos.tolist() == [round(math.cos(k * math.pi / 2)) for k in quarters.tolist()]
    assert sin.tolist() == [round(math.sin(k * math.pi / 2)) for k in quarters.tolist()]
    angle = torch.linspace(-7, 7, 101, dtype=dtype)
    torch.testing.assert_close(cos_sin(angle), (angle.cos(), angle.sin()))


def test_motion_broadcasts_single_values_against_batches():
    g = motion(angle=torch.arange(3.0), shift=(1.0, 2.0), reflection=1)
    assert g.tolist() == [[1, 0, 1, 2], [1, 1, 1, 2], [1, 2, 1, 2]]
    assert motion().tolist() == identity().tolist() == [[0, 0, 0, 0]]
    assert motion(shift=torch.zeros(4, 2), dtype=torch.float64).dtype == torch.float64
    assert compose(motion(angle=1.0), g).shape == (3, 4)


def test_small_motions_are_the_objects_own():
    """retract(h g, u) = h retract(g, u), also where h and u scale, and to first order it is g exp(u)."""
    group = Similarities(reflections=True)
    g, h, u = draw(group, 20, seed=1), draw(group, 20, seed=2), torch.randn(20, 4).double()
    torch.testing.assert_close(compose(h, retract(g, u)), retract(compose(h, g), u))
    torch.testing.assert_close(
        retract(g, 1e-7 * u), compose(g, group.exp(1e-7 * u)), atol=1e-12, rtol=0
    )
    assert retract(g[:, :4], u[:, :3]).shape == (20, 4)
    torch.testing.assert_close(retract(g[:, :4], u)[:, 4], u[:, 3])
    flat = torch.cat([u[:, :3], torch.zeros(20, 1).double()], dim=1)
    torch.testing.assert_close(retract(g, u[:, :3]), retract(g, flat))
    assert retract(g.view(4, 5, 5), u.view(4, 5, 4)).shape == (4, 5, 5)


def test_motions_pass_gradients():
    angle = torch.tensor([0.3], requires_grad=True, dtype=torch.float64)
    shift = torch.tensor([[1.0, -2.0]], requires_grad=True, dtype=torch.float64)
    point = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    g = motion(angle=angle, shift=shift, dtype=torch.float64)
    apply(compose(g, inverse(g)), point).sum().backward()
    assert angle.grad is not None and shift.grad is not None
    torch.testing.assert_close(shift.grad, torch.zeros_like(shift))  # g g^-1 depends on nothing
