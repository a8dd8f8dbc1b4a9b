"""Positions move with the object: t(g x) = g t(x)."""

import pytest
import torch
from torch import Tensor, nn

from eqvae.domains import SquareGrid, pixel_coordinates
from eqvae.nn import CentreOfMass, ImageCentre, Localiser
from eqvae.nn.localise import centroid
from eqvae.symmetry import PlaneMotions, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes, assert_equivariant, quarter_turns
from tests.cases import draw, move

SIZES = pytest.mark.parametrize("size", [40, 41])
KINDS = pytest.mark.parametrize("kind", [CentreOfMass, Localiser])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def pixels(a: Tensor, b: Tensor) -> float:
    return (a - b).norm(dim=1).max().item()


@SIZES
@KINDS
def test_positions_move_with_quarter_turns_and_mirrors_of_any_image(kind, size):
    x = torch.rand(4, 2, size, size)
    part = kind(SquareGrid(size), channels=2)
    moves = quarter_turns(reflections=True)
    assert_equivariant(part, x, moves, act_in=move, act_out=apply, rtol=1e-9, error=pixels)


@SIZES
@KINDS
@pytest.mark.parametrize("channels", [1, 3])
def test_positions_move_with_smooth_objects(kind, size, channels):
    """Sub-pixel shifts and any angle, within 0.02 pixels: blurs are sampled at every other pixel."""
    scenes = GaussianScenes(4, size=size, channels=channels)
    part = kind(SquareGrid(size), channels)
    still = part(scenes.render())
    for g in draw(PlaneMotions.o2(), 10, shift=2.0):
        moved = part(scenes.render(g[None]))
        assert pixels(moved, apply(g.expand(4, 4), still)) < 0.02


def test_a_network_on_flattened_pixels_does_not_move():
    """A control."""
    part = nn.Sequential(nn.Flatten(), nn.Linear(1600, 2))
    x = GaussianScenes(4, size=40).render()
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(
            part, x, quarter_turns(), act_in=move, act_out=apply, rtol=0.02, error=pixels
        )


def test_centre_of_mass_by_hand():
    x = torch.zeros(2, 1, 5, 5)
    x[0, 0, 0, 4] = 1.0  # top right corner
    x[1, 0, 2, 0], x[1, 0, 2, 1] = 1.0, 3.0
    assert CentreOfMass(SquareGrid(5))(x).tolist() == [[2, 2], [-1.25, 0]]


def test_a_constant_background_does_not_pull():
    """The localiser sees differences; the centre of mass is pulled to the middle."""
    scenes = GaussianScenes(4, size=40)
    g = motion(shift=(4.0, 0.0))
    pulled = {}
    for kind in (Localiser, CentreOfMass):
        part = kind(SquareGrid(40))
        still, moved = (part(scenes.render(h) + 0.2) for h in (None, g))
        pulled[kind] = pixels(moved, still + g[:, 2:])
    assert pulled[CentreOfMass] > 1.0
    assert pulled[Localiser] < 0.5


@KINDS
def test_empty_images_are_at_the_centre(kind):
    x = torch.zeros(2, 1, 20, 20, requires_grad=True)
    t = kind(SquareGrid(20))(x)
    assert t.abs().max() == 0
    t.sum().backward()
    assert x.grad.isfinite().all()


def test_gradient_reaches_every_parameter():
    part = Localiser(SquareGrid(24), channels=2)
    part(torch.rand(3, 2, 24, 24)).square().sum().backward()
    for name, parameter in part.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_centroid_weighs_points():
    points = pixel_coordinates(2, 2)
    heat = torch.tensor([[[1.0, 0.0], [0.0, 3.0]]])
    assert centroid(heat, points).tolist() == [[0.25, -0.25]]


@SIZES
def test_the_image_centre_stays_and_moves_with_what_turns_about_it(size):
    part, x = ImageCentre(SquareGrid(size), channels=2), torch.rand(4, 2, size, size)
    t = part(x)
    assert t.shape == (4, 2) and t.dtype == x.dtype and t.abs().max() == 0
    assert not list(part.parameters()) and not part.state_dict()
    moves = quarter_turns(reflections=True)
    assert_equivariant(part, x, moves, act_in=move, act_out=apply, rtol=0, error=pixels)
    with pytest.raises(AssertionError, match="not equivariant"):  # control: shifts it does not see
        shifts = motion(shift=(3.0, 0.0))
        assert_equivariant(part, x, shifts, act_in=move, act_out=apply, rtol=1, error=pixels)
