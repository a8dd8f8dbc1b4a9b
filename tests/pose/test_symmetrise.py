"""Exact symmetry: what nearly has it gets all of it, about its own centre; the rest is left alone."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.domains import pixel_coordinates
from eqvae.pose.symmetrise import symmetrised
from eqvae.testing import relative_error
from tests.pose.scenes import SIZE, scenes, smooth, space, template

TOLERANCE = 0.04
ORDERS = pytest.mark.parametrize("order", [2, 3, 4, 5])
CENTRES = torch.tensor([[0.0, 0.0], [0.4, 0.0], [0.0, -0.3], [0.24, 0.32]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@cache
def polygon(order: int) -> Tensor:
    """Coordinates of C_k exactly: Gaussians on a circle, one in the middle; of a disc for 0, (1, dim)."""
    points = pixel_coordinates(SIZE, SIZE).double()
    angle = 0.3 + torch.arange(order, dtype=torch.float64) * (2 * math.pi / max(order, 1))
    places = 5 * torch.stack([angle.cos(), angle.sin()], dim=1)
    places = torch.cat([places, torch.zeros(1, 2).to(places)])
    away = (points - places[:, None, None]).square().sum(dim=-1)
    x = torch.exp(-away / (2 * 2.0**2)).sum(dim=0)[None, None]
    d = space().analyse(x, torch.zeros(1, 2).to(x))
    d = space().extend(space().coefficients(d))
    return d * (
        (space().layout(d).frequency % order == 0) if order else space().layout(d).frequency == 0
    )


def beside(d: Tensor, centre: Tensor) -> Tensor:
    """Coordinates of the same objects with their centres at `centre` (B, 2), for d (1, dim)."""
    d = d.expand(len(centre), -1)
    image = space().synthesise(d, torch.zeros_like(centre))
    return space().extend(space().coefficients(space().analyse(image, -centre)))


def noisy(d: Tensor, part: float, order: int) -> Tensor:
    """With so much of the energy that the tolerance lets differ."""
    noise = smooth(space(), len(d))
    allowed = (
        d[:, space().layout(d).frequency > 0].norm(dim=1)
        if order
        else math.sqrt(0.05) * d.norm(dim=1)
    )
    scale = math.sqrt(part * TOLERANCE) * allowed / noise.norm(dim=1)
    return d + scale[:, None] * noise


@ORDERS
@pytest.mark.parametrize("part", [0.0, 0.1])
def test_what_nearly_turns_into_itself_does_so_exactly(order, part):
    d = noisy(beside(polygon(order), CENTRES), part, order)
    turn = torch.full((len(d),), 2 * math.pi / order)
    assert relative_error(space().turn(d, turn), d) > 0.02  # control: it does not yet
    exact = symmetrised(space(), d, TOLERANCE)
    assert exact.order.tolist() == [order] * len(d)
    torch.testing.assert_close(
        space().turn(exact.coordinates, turn), exact.coordinates, rtol=0, atol=1e-12
    )
    assert (exact.centre - CENTRES).norm(dim=1).max() < 0.05
    assert relative_error(exact.coordinates, polygon(order).expand_as(d)) < 0.05
    half = space().turn(exact.coordinates, turn / 2)
    assert relative_error(half, exact.coordinates) > 0.1  # control: no disc


@pytest.mark.parametrize("part", [0.0, 0.3])
def test_a_disc_beside_the_origin_has_every_symmetry(part):
    centre = 0.75 * CENTRES  # up to 0.3 px
    d = noisy(beside(polygon(0), centre), part, 0)
    round_part = space().layout(d).frequency == 0
    assert d[:, ~round_part].abs().max() > 0.01  # control
    exact = symmetrised(space(), d, TOLERANCE)
    assert exact.order.tolist() == [0] * len(d)
    assert exact.coordinates[:, ~round_part].abs().max() == 0
    assert (exact.centre - centre).norm(dim=1).max() < 0.05
    assert relative_error(exact.coordinates, polygon(0).expand_as(d)) < 0.02


@pytest.mark.parametrize("away", [0.8, 1.0, 1.2])
def test_a_disc_a_pixel_off_is_no_polygon(away):
    d = beside(polygon(0), torch.tensor([[away, 0.0], [0.0, -away]]))
    assert symmetrised(space(), d, TOLERANCE).order.tolist() == [0, 0]


def test_objects_without_symmetry_stay_as_they_are():
    d = template(scenes(4))
    exact = symmetrised(space(), d, TOLERANCE)
    assert torch.equal(exact.coordinates, d)
    assert exact.order.tolist() == [1] * 4 and exact.centre.abs().max() == 0


@pytest.mark.parametrize("order", [0, 3])
def test_the_tolerance_decides(order):
    d = noisy(beside(polygon(order), CENTRES), 4.0, order)  # what this tolerance does not let pass
    for tolerance in (0.0, TOLERANCE):
        exact = symmetrised(space(), d, tolerance)
        assert torch.equal(exact.coordinates, d)
        assert exact.order.tolist() == [1] * len(d) and exact.centre.abs().max() == 0
    assert symmetrised(space(), d, 10 * TOLERANCE).order.tolist() == [order] * len(d)  # control


def test_orders_are_tried_up_to_the_largest():
    d = polygon(4)
    assert symmetrised(space(), d, TOLERANCE, max_order=3).order.tolist() == [2]
    assert symmetrised(space(), polygon(5), TOLERANCE, max_order=4).order.tolist() == [1]


def test_the_centre_turns_with_the_template():
    d, angle = beside(polygon(3), CENTRES), torch.full((4,), 0.7)
    still, moved = (symmetrised(space(), e, TOLERANCE) for e in (d, space().turn(d, angle)))
    rotation = torch.tensor([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    torch.testing.assert_close(moved.centre, still.centre @ rotation.T)
    torch.testing.assert_close(moved.coordinates, space().turn(still.coordinates, angle))
    assert (moved.centre - still.centre).abs().max() > 0.1  # control


def test_every_template_is_looked_at_by_itself():
    parts = [beside(polygon(k), CENTRES[1:2]) for k in (0, 2, 3, 5)] + [template(scenes(1))]
    together = symmetrised(space(), torch.cat(parts), TOLERANCE)
    assert together.order.tolist() == [0, 2, 3, 5, 1]
    for b, part in enumerate(parts):
        alone = symmetrised(space(), part, TOLERANCE)
        torch.testing.assert_close(together.coordinates[b : b + 1], alone.coordinates)
        torch.testing.assert_close(together.centre[b : b + 1], alone.centre)


def test_an_empty_template_gives_numbers():
    exact = symmetrised(space(), torch.zeros(2, space().dim), TOLERANCE)
    assert exact.coordinates.abs().max() == 0 and exact.centre.abs().max() == 0
