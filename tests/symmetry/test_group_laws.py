"""The laws of a group, over every group there is."""

import math

import pytest
import torch

from eqvae.symmetry import (
    CentredSimilarities,
    Group,
    PlaneMotions,
    Similarities,
    SpaceMotions,
    SpaceRotations,
    compose,
    motion,
    with_log_scale,
)
from eqvae.symmetry.space_motions import affine_matrix
from tests.cases import BY_NAME, SYMMETRIES, draw

SCALING = [Similarities(), Similarities(reflections=True), Similarities(rotations=8)]
SPACE = [SpaceRotations(), SpaceRotations(parity=True)]
CENTRED = [CentredSimilarities(), CentredSimilarities(reflections=False)]
MOVING = [SpaceMotions(), SpaceMotions(parity=True)]
GROUPS = [*SYMMETRIES, *SCALING, *CENTRED, *SPACE, *MOVING]
EVERY_GROUP = pytest.mark.parametrize("group", GROUPS, **BY_NAME)


def points(n: int, group: Group | None = None) -> torch.Tensor:
    return 5 * torch.randn(n, 7, 3 if group in [*SPACE, *MOVING] else 2, dtype=torch.float64)


@EVERY_GROUP
def test_every_group_is_one(group):
    assert isinstance(group, Group)
    shift = 0.0 if group in SPACE else 4.0
    g, h, k = (draw(group, 20, seed, shift) for seed in (1, 2, 3))
    p = points(20, group)
    close = torch.testing.assert_close
    close(group.act(group.compose(g, h), p), group.act(g, group.act(h, p)))
    left, right = group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k))
    close(group.act(left, p), group.act(right, p))
    close(group.act(group.compose(g, group.inverse(g)), p), p)
    assert torch.equal(group.act(group.identity(20, dtype=torch.float64), p), p)


@EVERY_GROUP
def test_exp_follows_the_generators(group):
    """exp(s X) exp(t X) = exp((s + t) X), exp(0) = 1, and log undoes exp up to half a turn."""
    identity = group.identity(1, dtype=torch.float64)
    for generator in group.generators().values():
        direction = torch.tensor(generator.direction, dtype=torch.float64)
        assert torch.equal(group.exp(0 * direction[None]), identity)
        s, t = torch.tensor([0.4]).double(), torch.tensor([-1.3]).double()
        both = group.compose(group.exp(s * direction[None]), group.exp(t * direction[None]))
        torch.testing.assert_close(both, group.exp((s + t) * direction[None]))
        if generator.period is not None:
            once = group.exp(generator.period * direction[None])
            p = points(1, group)
            torch.testing.assert_close(group.act(once, p[:, :0]), p[:, :0])
            torch.testing.assert_close(group.act(once, p), p)


def test_exp_of_the_plane_against_the_matrix_exponential():
    group = PlaneMotions.so2()
    u = torch.randn(30, 3, dtype=torch.float64)
    u[:, 0] = torch.linspace(-3.1, 3.1, 30).double()  # log finds the shortest
    u[0, 0], u[1] = 0.0, 0.0
    algebra = torch.zeros(30, 3, 3, dtype=torch.float64)
    algebra[:, 0, 1], algebra[:, 1, 0] = -u[:, 0], u[:, 0]
    algebra[:, :2, 2] = u[:, 1:]
    expected = torch.linalg.matrix_exp(algebra)
    g = group.exp(u)
    origin = group.act(g, torch.zeros(30, 2).double())
    torch.testing.assert_close(origin, expected[:, :2, 2])
    axis = group.act(g, torch.tensor([[1.0, 0.0]]).double().expand(30, 2)) - origin
    torch.testing.assert_close(axis, expected[:, :2, 0])
    torch.testing.assert_close(group.log(g), u)


def test_exp_of_space_against_the_matrix_exponential():
    group = SPACE[0]
    u = torch.randn(30, 3, dtype=torch.float64)
    u *= torch.linspace(0, 3.1, 30).double()[:, None] / u.norm(dim=1, keepdim=True)
    u[1] = 1e-9
    x, y, z = u.unbind(1)
    zero = torch.zeros_like(x)
    algebra = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    axes = torch.eye(3).double().expand(30, 3, 3)
    moved = group.act(group.exp(u), axes).mT
    torch.testing.assert_close(moved, torch.linalg.matrix_exp(algebra))
    torch.testing.assert_close(group.log(group.exp(u)), u)


@pytest.mark.parametrize("group", SPACE, **BY_NAME)
def test_a_grid_of_space_is_spread_evenly(group):
    """Its matrices average to zero, as over the whole group; a control, half of it, does not."""
    grid = group.grid(200)
    assert torch.equal(grid[:1], group.identity(dtype=grid.dtype))
    axes = torch.eye(3).double()
    mean = group.act(grid[:200], axes.expand(200, 3, 3)).mean(0).norm()
    half = group.act(grid[:100], axes.expand(100, 3, 3)).mean(0).norm()
    assert mean < 0.05 < half
    assert len(grid) == 200 * (1 + group.parity)


def test_exp_of_motions_of_space_against_the_matrix_exponential():
    group = SpaceMotions()
    u = torch.randn(40, 6, dtype=torch.float64)
    angle = torch.linspace(0, math.pi - 1e-9, 40, dtype=torch.float64)
    u[:, :3] *= (angle / u[:, :3].norm(dim=1))[:, None]
    u[1, :3], u[2, 3:] = 1e-9, 0.0
    algebra = torch.zeros(40, 4, 4, dtype=torch.float64)
    for (i, j), k in {(2, 1): 0, (0, 2): 1, (1, 0): 2}.items():
        algebra[:, i, j], algebra[:, j, i] = u[:, k], -u[:, k]
    algebra[:, :3, 3] = u[:, 3:]
    close = torch.testing.assert_close
    close(affine_matrix(group.exp(u)), torch.linalg.matrix_exp(algebra), rtol=0, atol=1e-13)
    close(group.log(group.exp(u)), u, rtol=0, atol=1e-10)
    several = 5 * u[3:4]  # of more than a turn
    close(affine_matrix(group.exp(several)), torch.linalg.matrix_exp(5 * algebra[3:4]))


def test_space_has_no_shifts():
    with pytest.raises(ValueError, match="shift must be 0: SO\\(3\\) has no translations; got 2"):
        SPACE[0].sample(3, shift=2.0)


@pytest.mark.parametrize(
    ("group", "mirrored"),
    [
        (PlaneMotions.o2(), motion(0.3, reflection=1.0)),
        (SPACE[1], SPACE[1].grid(1)[1:]),
        (MOVING[1], MOVING[1].grid(1)[1:]),
    ],
    **BY_NAME,
)
def test_log_refuses_mirrors(group, mirrored):
    with pytest.raises(ValueError, match="no mirror image"):
        group.log(mirrored)


@pytest.mark.parametrize("group", [*SYMMETRIES, *SCALING, *CENTRED], **BY_NAME)
def test_a_grid_is_spread_evenly_and_starts_at_the_identity(group):
    grid = group.grid(12)
    assert torch.equal(grid[:1], group.identity(1, dtype=grid.dtype))
    if getattr(group, "is_finite", False):
        assert torch.equal(grid, group.elements())
    else:
        assert len(grid) == 12 * (1 + group.reflections)
        # invariant under its own elements: a grid of a group
        turned = group.compose(grid[1:2].expand_as(grid), grid)
        p = points(1).expand(len(grid), -1, -1)
        apart = torch.cdist(group.act(turned, p).flatten(1), group.act(grid, p).flatten(1))
        assert apart.min(dim=1).values.max() < 1e-9


def test_ambient_is_what_a_finite_group_is_measured_against():
    assert PlaneMotions.cyclic(4).ambient == PlaneMotions.so2()
    assert PlaneMotions.dihedral(4).ambient == PlaneMotions.o2()
    assert "rotation" not in PlaneMotions.cyclic(4).generators()
    assert math.isclose(PlaneMotions.so2().generators()["rotation"].period, 2 * math.pi)


def test_exp_of_similarities_against_the_matrix_exponential():
    group = Similarities()
    u = torch.randn(30, 4, dtype=torch.float64)
    u[:, 0] = torch.linspace(-3.1, 3.1, 30).double()
    u[0, 0], u[1], u[2, 3], u[3, ::3] = 0.0, 0.0, 0.0, 1e-9
    algebra = torch.zeros(30, 3, 3, dtype=torch.float64)
    algebra[:, 0, 1], algebra[:, 1, 0] = -u[:, 0], u[:, 0]
    algebra[:, 0, 0] = algebra[:, 1, 1] = u[:, 3]
    algebra[:, :2, 2] = u[:, 1:3]
    expected = torch.linalg.matrix_exp(algebra)
    g, corners = group.exp(u), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).double()
    homogeneous = torch.cat([corners, torch.ones(3, 1).double()], dim=1)
    moved = (homogeneous @ expected.mT)[..., :2]
    torch.testing.assert_close(group.act(g, corners.expand(30, 3, 2)), moved)
    torch.testing.assert_close(group.log(g), u)


def test_at_scale_one_similarities_are_the_motions_of_the_plane():
    g, h = draw(PlaneMotions.o2(), 20, seed=1), draw(PlaneMotions.o2(), 20, seed=2)
    group, zero = Similarities(reflections=True), torch.zeros(20).double()
    flat = with_log_scale(compose(g, h), zero)
    assert torch.equal(group.compose(with_log_scale(g, zero), with_log_scale(h, zero)), flat)
    assert torch.equal(group.compose(with_log_scale(g, zero), h), flat)  # four columns are scale 1
    assert torch.equal(group.compose(g, with_log_scale(h, zero)), flat)
    assert group.compose(g, h).shape == (20, 4)
    u = torch.randn(20, 3, dtype=torch.float64)
    still = torch.cat([u, zero[:, None]], dim=1)
    torch.testing.assert_close(group.exp(still)[:, :4], PlaneMotions.so2().exp(u))


def test_similarities_draw_the_scales_that_were_asked_for():
    g = Similarities(scales=(0.5, 4.0)).sample(4000, generator=torch.Generator().manual_seed(0))
    s = g[:, 4]
    assert math.log(0.5) <= s.min() < -0.67 and 1.37 < s.max() <= math.log(4)
    assert abs(s.mean() - math.log(2) / 2) < 0.03  # as many halvings as doublings of the middle


@pytest.mark.parametrize(
    "scales", [(0.0, 1.6), (-1.0, 2.0), (1.2, 1.6), (0.5, 0.9), (0.6,), (0.6, math.inf)]
)
def test_similarities_refuse_scales_that_are_none(scales):
    with pytest.raises(ValueError, match=r"two positive numbers with 1 between them.*\[0.6, 1.6\]"):
        Similarities(scales=scales)
