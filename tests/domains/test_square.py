"""Images move as drawn by hand, compose like the group, and agree with analytic scenes and escnn."""

import math

import pytest
import torch
from escnn import nn as enn

from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid
from eqvae.symmetry import (
    PlaneMotions,
    Similarities,
    compose,
    identity,
    inverse,
    log_scale_of,
    motion,
    with_log_scale,
    without_scale,
)
from eqvae.testing import GaussianScenes, quarter_turns, relative_error
from tests.cases import BY_NAME, move

QUARTER = math.pi / 2
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
INTERPOLATIONS = pytest.mark.parametrize("interpolation", ["bicubic", "fourier"])


def picture(*rows: str) -> torch.Tensor:
    """An image drawn by hand: # is 1, . is 0."""
    return torch.tensor([[[[float(c == "#") for c in row] for row in rows]]])


ARROW = picture(  # points right, with a mark above its tail
    "#....",
    "...#.",
    "#####",
    "...#.",
    ".....",
)


@pytest.mark.parametrize(
    ("g", "expected"),
    [
        (  # 90 degrees counter-clockwise: points up
            motion(angle=QUARTER),
            ["..#..", ".###.", "..#..", "..#..", "#.#.."],
        ),
        (  # a clockwise quarter turn: points down
            motion(angle=-QUARTER),
            ["..#.#", "..#..", "..#..", ".###.", "..#.."],
        ),
        (  # +x is right
            motion(shift=(1.0, 0.0)),
            [".#...", "....#", ".####", "....#", "....."],
        ),
        (  # +y is up
            motion(shift=(0.0, 1.0)),
            ["...#.", "#####", "...#.", ".....", "....."],
        ),
        (  # the mirror turns up and down about: (x, y) -> (x, -y)
            motion(reflection=1.0),
            [".....", "...#.", "#####", "...#.", "#...."],
        ),
        (  # mirror, then turn, then shift: the mark ends below right
            motion(angle=QUARTER, shift=(0.0, 1.0), reflection=1.0),
            [".###.", "..#..", "..#..", "..#.#", "....."],
        ),
    ],
    ids=["left turn", "right turn", "x", "y", "mirror", "all"],
)
def test_arrows(g, expected):
    assert torch.equal(move(g, ARROW), picture(*expected))


@pytest.mark.parametrize("size", [4, 5])
def test_a_quarter_turn_is_rot90_and_a_mirror_is_flip(size):
    x = torch.rand(1, 2, size, size)
    assert torch.equal(move(motion(angle=QUARTER), x), torch.rot90(x, 1, (-2, -1)))
    assert torch.equal(move(motion(angle=math.pi), x), x.flip(-1, -2))
    assert torch.equal(move(motion(reflection=1.0), x), x.flip(-2))
    assert torch.equal(move(motion(angle=math.pi, reflection=1.0), x), x.flip(-1))


@TYPES
@INTERPOLATIONS
@pytest.mark.parametrize("size", [8, 9])
def test_grid_motions_compose_exactly(size, interpolation, dtype):
    turns = quarter_turns(reflections=True).to(dtype)
    shifts = torch.tensor([[1.0, -2.0], [0.0, 0.0], [2.0, 1.0], [-1.0, 0.0]], dtype=dtype).repeat(
        2, 1
    )
    elements = torch.cat([turns[:, :2], shifts], dim=1)
    x = torch.zeros(len(elements), 2, size, size, dtype=dtype)
    x[:, :, 3:-3, 3:-3] = torch.rand_like(x[:, :, 3:-3, 3:-3])  # shifts lose nothing at the border
    x = torch.nn.functional.pad(x, (4, 4, 4, 4))
    for g in elements:
        g = g.expand(len(elements), 4)
        twice = move(g, move(elements, x, interpolation), interpolation)
        assert torch.equal(twice, move(compose(g, elements), x, interpolation))
        back = move(inverse(g), move(g, x, interpolation), interpolation)
        assert torch.equal(back, x)
    assert torch.equal(move(identity(len(x), dtype=dtype), x), x)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("symmetry", [PlaneMotions.cyclic(4), PlaneMotions.dihedral(4)], **BY_NAME)
def test_quarter_turns_and_mirrors_agree_with_escnn(symmetry, size):
    x = torch.rand(1, 1, size, size)
    space, group = symmetry.gspace, symmetry.group
    field = enn.GeometricTensor(x, enn.FieldType(space, [space.trivial_repr]))
    for row in symmetry.elements():
        turns = round(row[1].item() / QUARTER) % 4
        element = group.element((int(row[0]), turns) if symmetry.reflections else turns)
        theirs = field.transform(element).tensor
        torch.testing.assert_close(move(row[None], x), theirs)


@pytest.mark.parametrize("size", [8, 9])
def test_what_is_shifted_out_is_gone(size):
    x = torch.rand(1, 1, size, size) + 0.1
    for far in (size, size + 1, 3 * size, -2 * size):
        for shift in ((float(far), 0.0), (0.0, float(far))):
            assert move(motion(shift=shift), x).abs().max() == 0
    kept = move(motion(shift=(size - 1.0, 0.0)), x)
    assert torch.equal(kept[..., -1], x[..., 0]) and kept[..., :-1].abs().max() == 0


@pytest.mark.parametrize("interpolation", ["bicubic", "fourier"])
@pytest.mark.parametrize("ground", [[0.4], [0.1, 0.9]])
def test_a_ground_stays_where_it_is(interpolation, ground):
    """g (x + b) = g x + b; the control is a grid that does not know b."""
    x, grey = torch.rand(3, 2, 9, 9), torch.tensor(ground).view(-1, 1, 1)
    g = motion(
        torch.tensor([0.3, math.pi / 2, 0.0]), torch.tensor([[1.0, 2.0], [0.0, 3.0], [0.5, 0]])
    )
    grid = SquareGrid(9, ground)
    expected = SquareGrid(9).act(g, x, interpolation) + grey
    torch.testing.assert_close(grid.act(g, x + grey, interpolation), expected)
    assert (grid.black.act(g, x + grey, interpolation) - expected).abs().max() > 0.09
    assert torch.equal(
        SquareGrid(9, [0.0]).act(g, x, interpolation), grid.black.act(g, x, interpolation)
    )
    batch = Batch(x + grey, mask=torch.ones(3, 1, 9, 9)).act(g, grid, interpolation)
    assert torch.equal(batch.mask, grid.black.act(g, torch.ones(3, 1, 9, 9), interpolation))


def test_a_ground_has_a_number_for_each_channel():
    with pytest.raises(
        ValueError, match=r"one for each of 3 channels; got \[0.1, 0.9\]. Use .black"
    ):
        SquareGrid(8, (0.1, 0.9)).act(motion(), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="ground must be finite grey values"):
        SquareGrid(8, [math.nan])


def scene_errors(interpolation: str, size: int, motions: torch.Tensor) -> list[float]:
    scenes = GaussianScenes(3, seed=0, size=size, dtype=torch.float64)
    x, errors = scenes.render(), []
    for g in motions.double():
        moved = move(g.expand(3, 4), x, interpolation)
        errors.append(relative_error(moved, scenes.render(g[None])))
    return errors


@pytest.mark.parametrize(
    ("interpolation", "bound"),
    # The thinnest blob, 1.5 px, has exp(-(1.5 pi)^2 / 2) = 2e-5 of its amplitude left at the grid's
    # band limit: Fourier interpolation errs by that. Bicubic errs by 1.4 % on such blobs.
    [("bicubic", 0.02), ("fourier", 2e-5)],
)
@pytest.mark.parametrize("size", [40, 41])
def test_other_motions_agree_with_analytic_scenes(interpolation, bound, size):
    generator = torch.Generator().manual_seed(0)
    motions = PlaneMotions.o2().sample(16, shift=2.0, generator=generator)
    shifts = motion(shift=torch.tensor([[0.5, 0.0], [0.0, 0.5], [-0.3, 0.2]]))
    assert max(scene_errors(interpolation, size, torch.cat([motions, shifts]))) < bound


def test_the_wrong_direction_is_noticed():
    """A control: the same comparison with the inverse motion must fail."""
    scenes = GaussianScenes(3, seed=0, size=40)
    g = motion(angle=0.5).expand(3, 4)
    assert relative_error(move(inverse(g), scenes.render()), scenes.render(g)) > 0.3


@INTERPOLATIONS
def test_a_batch_moves_row_by_row(interpolation):
    x = torch.rand(4, 2, 9, 9)
    g = torch.tensor([[0, 0, 0, 0], [0, 0.3, 1, 0.5], [1, QUARTER, 1, 0], [1, 2.0, 0, 0]])
    moved = move(g, x, interpolation)
    assert moved.shape == x.shape and moved.dtype == x.dtype
    assert torch.equal(moved[0], x[0])
    for i in range(4):
        single = move(g[i : i + 1], x[i : i + 1], interpolation)
        torch.testing.assert_close(moved[i : i + 1], single)


@INTERPOLATIONS
def test_gradients_flow_to_images_and_motions(interpolation):
    x = torch.rand(3, 1, 7, 7, dtype=torch.float64, requires_grad=True)
    g = torch.tensor([[0, 0.3, 0.2, 0.1], [0, QUARTER, 1, 0], [1, 1.0, -0.5, 0.3]]).double()
    assert torch.autograd.gradcheck(lambda x: move(g, x, interpolation), (x,))
    g = g[::2].clone().requires_grad_()
    move(g, x[::2].detach(), interpolation).square().sum().backward()
    assert (g.grad[:, 1:] != 0).all()


@pytest.mark.parametrize(
    ("g", "x", "interpolation", "message"),
    [
        (
            motion(),
            torch.zeros(1, 1, 4, 4),
            "nearest",
            r"interpolation must be one of \['bicubic', 'f",
        ),
        (motion(), torch.zeros(2, 1, 4, 4), "bicubic", "one motion for each image; got 1 and 2"),
        (motion(), torch.zeros(1, 1, 4, 5), "bicubic", "x must be square to be rotated; got 4x5"),
    ],
)
def test_mistakes_are_named(g, x, interpolation, message):
    with pytest.raises(ValueError, match=message):
        move(g, x, interpolation)


def test_a_grid_acts_on_its_own_images_only():
    x, g = torch.rand(2, 1, 9, 9), motion(0.3).expand(2, 4)
    assert SquareGrid(9) == SquareGrid.of(x) and SquareGrid(9).points().shape == (9, 9, 2)
    with pytest.raises(ValueError, match="must be images of 8x8 pixels; got 9x9"):
        SquareGrid(8).act(g, x)
    with pytest.raises(ValueError, match="size must be a whole number of pixels"):
        SquareGrid(0)
    with pytest.raises(ValueError, match="must be square"):
        SquareGrid.of(torch.zeros(1, 1, 8, 9))


def test_the_resampling_floor_is_zero_on_the_grid_and_small_off_it():
    x = GaussianScenes(3, size=40, dtype=torch.float64).render()
    grid = SquareGrid(40)
    assert grid.resampling_error(motion(math.pi / 2).expand(3, 4), x).abs().max() == 0
    fine = grid.resampling_error(motion(0.3).expand(3, 4), x)
    coarse = grid.resampling_error(motion(0.3).expand(3, 4), x, "bicubic")
    assert 0 < fine.norm() < 1e-4 * x.norm() < coarse.norm()


def test_scaled_images_are_scaled_scenes_and_compose():
    """Against scenes drawn at their scale, with the images that were not scaled as a control."""
    scenes = GaussianScenes(12, seed=3, size=64, width=2.4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    g = Similarities(scales=(0.7, 1.4)).sample(12, shift=3.0, generator=generator).double()
    x, expected = scenes.render(), scenes.render(g)
    for interpolation, bound in (("fourier", 1e-3), ("bicubic", 0.06)):
        moved = move(g, x, interpolation)
        assert relative_error(moved, expected) < bound
        flat = move(without_scale(g), x, interpolation)
        assert relative_error(flat, expected) > 3 * bound
    small = with_log_scale(identity(12).double(), -log_scale_of(g).abs() / 2)
    twice = move(small, move(small, x))  # the blurs of two shrinkings are that of both at once
    once = move(compose(small, small), x)
    assert relative_error(twice, once) < 0.03  # what interpolating twice costs


@TYPES
@INTERPOLATIONS
def test_scale_one_is_no_interpolation(interpolation, dtype):
    g = with_log_scale(quarter_turns(reflections=True).to(dtype), torch.zeros(8, dtype=dtype))
    x = torch.rand(8, 2, 9, 9, dtype=dtype)
    assert torch.equal(move(g, x, interpolation), move(without_scale(g), x, interpolation))
    turned = motion(torch.linspace(0, 3, 8), (0.3, -1.2), dtype=dtype)
    scaled = move(with_log_scale(turned, torch.zeros(8, dtype=dtype)), x, interpolation)
    tolerance = 100 * torch.finfo(dtype).eps
    torch.testing.assert_close(scaled, move(turned, x, interpolation), atol=tolerance, rtol=0)


def test_shrinking_leaves_out_what_the_grid_cannot_show():
    """Stripes near the grid's limit, shrunk to half, vanish; plain sampling makes coarse ones of them."""
    stripes = SquareGrid(64).points(dtype=torch.float64)[..., 0].mul(2.6).cos()[None, None]
    g = motion(log_scale=math.log(0.5), dtype=torch.float64)
    inside = SquareGrid(64).mask(12.0).bool()
    for interpolation, left in (("fourier", 0.05), ("bicubic", 0.12)):
        assert move(g, stripes, interpolation)[0, 0, inside].abs().max() < left
    plain = stripes[..., ::2, ::2]
    assert plain.abs().max() > 0.9  # the control: what pixels say without antialiasing
