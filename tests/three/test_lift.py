"""The lift of points to coefficients: exact, whatever their order; and back to a density."""

import pytest
import torch

from eqvae.symmetry import SpaceRotations
from eqvae.symmetry.space import parity_of, rotation_part
from eqvae.symmetry.wigner import solid_harmonics, wigner
from eqvae.three.density import density, density_grid
from eqvae.three.harmonics import all_harmonics
from eqvae.three.lift import Lift, centroid, reach, spanned

O3 = SpaceRotations(parity=True)
LIFT = Lift.covering(4.0, num_shells=5, lmax=6)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def moved_by_wigner(f: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """D(g) f, degree by degree, by matrices that know nothing of the lift."""
    parts = []
    for degree in range(LIFT.lmax + 1):
        d, sign = wigner(degree, rotation_part(g)), (1 - 2 * parity_of(g)) ** degree
        part = f[..., degree**2 : (degree + 1) ** 2]
        parts.append(torch.einsum("b,bij,bcnj->bcni", sign, d, part))
    return torch.cat(parts, dim=-1)


def test_a_rotation_of_the_points_is_wigners_of_the_coefficients():
    points, weights = drawn(8, 30, 3), drawn(8, 30, 2, seed=1)
    g = O3.sample(8, generator=torch.Generator().manual_seed(2)).double()
    f, after = LIFT(points, weights), LIFT(O3.act(g, points), weights)
    assert f.shape == (8, 2, 5, 49)
    assert (moved_by_wigner(f, g) - after).norm() / after.norm() < 2e-15
    backwards = moved_by_wigner(f, O3.inverse(g))  # a control
    assert (backwards - after).norm() / after.norm() > 0.1


def test_harmonics_of_all_degrees_are_those_of_each_alone():
    points = drawn(20, 3)
    each = [solid_harmonics(degree, points) for degree in range(12)]
    torch.testing.assert_close(all_harmonics(11, points), torch.cat(each, dim=1))
    high = all_harmonics(60, points / points.norm(dim=1, keepdim=True))
    torch.testing.assert_close(high[:, 60**2 :].square().sum(1), torch.ones(20).double())


def test_order_does_not_matter_and_padding_does_not_count():
    points, weights = drawn(2, 9, 3), drawn(2, 9, 1, seed=1)
    f, order = LIFT(points, weights), torch.randperm(9)
    torch.testing.assert_close(LIFT(points[:, order], weights[:, order]), f)
    padded = torch.cat([points, torch.full((2, 3, 3), torch.nan).double()], dim=1)
    mask = torch.tensor([1.0] * 9 + [0.0] * 3).expand(2, 12)
    more = torch.cat([weights, weights[:, :3]], dim=1)
    torch.testing.assert_close(LIFT(padded, more, mask), f)
    torch.testing.assert_close(centroid(padded, mask), centroid(points))
    assert reach(padded, mask) == pytest.approx(reach(points))
    assert (LIFT(padded.nan_to_num(1.0), more) - f).norm() > 0.1 * f.norm()  # control: no mask


def test_it_is_smooth_where_directions_mean_nothing():
    points = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    f = LIFT(points)
    assert f[..., 1:].abs().max() == 0 and f[..., 0].min() > 0  # coincident, at the origin
    (slope,) = torch.autograd.grad(f.sum(), points)
    assert slope.isfinite().all()
    near = LIFT(points.detach() + 1e-6 * drawn(1, 2, 3))
    assert (near - f).abs().max() < 1e-5


def test_single_precision_is_close():
    points = drawn(4, 50, 3)
    f = LIFT(points)
    assert (LIFT(points.float()).double() - f).norm() / f.norm() < 1e-6


def test_the_density_is_where_the_points_are_and_lifts_to_the_same_coefficients():
    points = torch.tensor([[[2.5, 0, 0], [0, -2.0, 0.5]]]).double()
    f = LIFT(points)
    there, opposite = density(LIFT, f, points[0]), density(LIFT, f, -points[0])
    assert there.min() > 3 * opposite.abs().max()
    size = 40
    values, step = density_grid(LIFT, f, size)
    half = step * (size - 1) / 2
    line = torch.linspace(-half, half, size).double()
    again = LIFT(torch.cartesian_prod(line, line, line)[None], values.reshape(1, -1, 1)) * step**3
    assert (again - f).norm() / f.norm() < 0.02
    with pytest.raises(ValueError, match="of this lift"):
        density(LIFT, f[..., :9], points[0])
    with pytest.raises(ValueError, match="at least 2"):
        density_grid(LIFT, f, 1)


def test_how_many_dimensions_a_set_spans():
    flat = drawn(1, 5, 3) * torch.tensor([1.0, 1.0, 0.0])
    line = drawn(1, 5, 1) * torch.tensor([1.0, 2.0, -1.0])
    sets = torch.cat([drawn(1, 5, 3), flat, line, torch.ones(1, 5, 3)]).double()
    assert spanned(sets + 7).tolist() == [3, 2, 1, 0]
    assert spanned(drawn(1, 2, 3)).tolist() == [1]
    assert spanned(sets[:1], torch.tensor([[1, 1, 0, 0, 0]])).tolist() == [1]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((torch.zeros(3, 3),), r"positions must be \(B, N, 3\)"),
        ((torch.zeros(1, 0, 3),), "at least one point"),
        ((torch.tensor([[[0.0, 0, torch.nan]]]),), "positions must be finite"),
        ((torch.zeros(1, 4, 3), torch.ones(3, 2)), "weights must be"),
        ((torch.zeros(1, 4, 3), None, torch.ones(1, 3)), "mask must be"),
        ((torch.zeros(1, 4, 3), None, torch.zeros(1, 4)), "at least one point"),
    ],
)
def test_what_can_not_be_lifted_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        LIFT(*arguments)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"lmax": -1}, "lmax must be a whole number"),
        ({"shells": ()}, "shells must be one or more"),
        ({"width": 0.0}, "width must be positive"),
        ({"core": float("nan")}, "core must be positive"),
    ],
)
def test_what_is_no_lift_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Lift(**arguments)


def test_too_high_a_degree_says_which_one_fits(monkeypatch):
    monkeypatch.setattr("eqvae.three.lift.free_memory", lambda: 2_000_000)
    points = torch.zeros(1, 100, 3)
    with pytest.raises(ValueError, match=r"lmax must be at most 35 for 100 points with 0.0 GiB"):
        Lift(lmax=60)(points)
    Lift(lmax=35)(points)
    with pytest.raises(ValueError, match="lmax"):
        Lift(lmax=36)(points)
    with pytest.raises(ValueError, match="radius must be positive"):
        Lift.covering(0.0)
    with pytest.raises(ValueError, match="num_shells"):
        Lift.covering(1.0, num_shells=0)
