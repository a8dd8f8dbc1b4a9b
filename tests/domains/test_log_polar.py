"""The log-polar grid: exact steps on the overlap, the margin, and the way from and to square images."""

import math

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from eqvae.domains import LogPolarGrid, SquareGrid
from eqvae.drawing.log_polar import draw_rings
from eqvae.nn import LogPolarConv
from eqvae.symmetry import CentredSimilarities, motion
from eqvae.testing import GaussianScenes

GRID = LogPolarGrid(radii=20, angles=24, inner=1.0, outer=12.0)
STEPS = [(5, 3, 0), (-4, 7, 0), (0, -2, 1), (3, 0, 1), (25, 1, 0)]


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def by_steps(grid: LogPolarGrid, radii: float, angles: float, mirror: float = 0.0) -> Tensor:
    return motion(angles * grid.turn, reflection=mirror, log_scale=radii * grid.step)


@pytest.mark.parametrize(("k", "j", "mirror"), STEPS)
def test_whole_steps_are_shifts_on_the_overlap(k, j, mirror):
    """Any signal, to the last digit, and what comes in is ground."""
    x = torch.rand(1, 2, *GRID.shape)
    g = by_steps(GRID, k, j, mirror)
    moved = GRID.on((0.25, 0.5)).act(g, x)
    seen = x.flip(-1).roll(1, dims=-1) if mirror else x
    rolled = seen.roll(j, dims=-1)
    overlap = GRID.overlap(g)
    assert overlap.sum() == max(0, GRID.radii - abs(k))
    grey = torch.tensor([0.25, 0.5])[:, None, None].expand(2, *GRID.shape)
    expected = torch.where(overlap[:, None] > 0, rolled.roll(k, dims=-2), grey)
    assert torch.equal(moved, expected)


def test_a_scaled_and_turned_image_is_a_shifted_signal():
    """Scenes that are exact: what is left is the sampling, and a wrong scale is no small error."""
    grid = LogPolarGrid.covering(64, angles=96, inner=1.0)
    square, scenes = SquareGrid(64), GaussianScenes(2, seed=1, size=64, dtype=torch.float64)
    g, wrong = by_steps(grid, 5, 3), by_steps(grid, 6, 3)
    still, moved = (grid.of_square(scenes.render(h), None, "fourier") for h in (None, g))
    kept = grid.mask(square.size / 2 * 0.9) * grid.overlap(g)
    errors = [
        ((grid.act(h.expand(2, 5), still) - moved) * kept).norm() / (moved * kept).norm()
        for h in (g, wrong)
    ]
    assert errors[0] < 0.01 and errors[1] > 0.1, errors


@pytest.mark.parametrize("interpolation", ["fourier", "bicubic"])
def test_motions_between_the_steps_are_interpolated(interpolation):
    """Of a smooth signal that is 0 at both ends; fourier is the better."""
    a = torch.arange(24) * GRID.turn

    def signal(row: float, turn: float) -> Tensor:
        u = torch.arange(20.0)[:, None] - 9 - row
        return ((-u.square() / 8).exp() * (1 + 0.5 * (3 * (a - turn)).cos()))[None, None]

    moved = GRID.act(by_steps(GRID, 1.3, 2.6), signal(0, 0), interpolation)
    tolerance = {"fourier": 2e-4, "bicubic": 1e-2}[interpolation]
    expected = signal(1.3, 2.6 * GRID.turn)
    torch.testing.assert_close(moved, expected, rtol=0, atol=tolerance)
    assert (moved - signal(1.3, 0)).abs().max() > 0.1  # control


def test_a_two_layer_network_moves_exactly_on_the_overlap():
    torch.manual_seed(0)
    network = torch.nn.Sequential(LogPolarConv(1, 4, 5), torch.nn.SiLU(), LogPolarConv(4, 2, 5))
    x = torch.rand(1, 1, *GRID.shape)
    for k, j in ((5, 3), (-4, 7)):
        g = by_steps(GRID, k, j)
        difference = (network(GRID.act(g, x)) - GRID.act(g, network(x))).abs().amax(dim=(0, 1, 3))
        reach = 4  # rows that see what came in, or the end itself, through two kernels
        first, last = reach + max(k, 0), GRID.radii - reach + min(k, 0)
        assert difference[first:last].max() < 1e-10
        assert difference.max() > 1e-3  # control: at the ends the window shows


@pytest.mark.parametrize(("repeat", "small"), [(True, True), (False, False)])
def test_at_the_ends_the_last_ring_may_go_on(repeat, small):
    layer = LogPolarConv(1, 1, 3, repeat=repeat, bias=False)
    out = layer(torch.ones(1, 1, *GRID.shape))
    assert (bool((out - layer.conv.weight.sum()).abs().max() < 1e-12)) is small


def test_the_margin_is_what_no_scaling_touches():
    """The rows of `untouched` have come from inside at every scale up to the factor, and no more."""
    kept = GRID.untouched(1.6) > 0
    for s in torch.linspace(-math.log(1.6), math.log(1.6), 9):
        assert GRID.overlap(motion(log_scale=s))[0].expand(GRID.shape)[kept].min() == 1
    over = GRID.overlap(motion(log_scale=math.log(1.6) + GRID.step))[0].expand(GRID.shape)
    assert over[kept].min() == 0
    assert torch.equal(GRID.untouched(1 / 1.6), GRID.untouched(1.6))
    assert GRID.untouched(1.0).min() == 1


@pytest.mark.parametrize("interpolation", ["fourier", "bicubic"])
def test_there_and_back_between_squares_and_rings(interpolation):
    """About a centre that somebody knows; beyond the window the ground, within the hole its ring."""
    shift = torch.tensor([[2.4, -1.3], [-0.7, 3.1]])
    scenes = GaussianScenes(2, seed=1, size=64, width=2.0, dtype=torch.float64)
    x = scenes.render(motion(0.0, shift)) + 0.25
    grid = LogPolarGrid.covering(64, angles=160).on((0.25,))
    signal = grid.of_square(x, shift, interpolation)
    back = grid.to_square(signal, 64, shift)
    inside = SquareGrid(64).mask(24.0).to(x)
    assert ((back - x) * inside).norm() / ((x - 0.25) * inside).norm() < 0.03
    wrong = grid.to_square(signal, 64)
    assert ((wrong - x) * inside).norm() / ((x - 0.25) * inside).norm() > 0.3  # control
    assert torch.equal(back[0, 0, 0, 0], torch.tensor(0.25))
    still = grid.of_square(scenes.render() + 0.25, None, interpolation)
    torch.testing.assert_close(
        signal, still, rtol=0, atol=0.02
    )  # centred, it does not matter where


def test_far_from_the_centre_samples_see_what_lies_between_them():
    """Stripes that 16 samples a turn can't follow are grey there, at a width of 6 pixels."""
    grid = LogPolarGrid.covering(65, angles=16, inner=2.0)
    stripes = (SquareGrid(65).points()[..., 0] % 4 < 2).double()[None, None]
    for interpolation in ("fourier", "bicubic"):
        seen = grid.of_square(stripes, None, interpolation)[0, 0]
        outer = grid.spacing() > 6
        middle = seen[outer & (grid.radius() < 22)]
        assert middle.std() < 0.1 and abs(middle.mean() - 0.5) < 0.08
    assert stripes.std() > 0.4  # control


def test_the_group_has_no_shifts_and_a_cylinder_for_turns_and_scales():
    g, h = (CentredSimilarities(reflections=False).sample(5, shift=9.0) for _ in range(2))
    group = GRID.group
    assert g[:, 2:4].abs().max() == 0
    torch.testing.assert_close(group.compose(g, h), group.compose(h, g))
    assert group.with_shifts.name == "O(2) x R+" == group.name


def test_rings_are_drawn():
    axes = Figure().add_subplot()
    draw_rings(axes, GRID, torch.rand(GRID.shape))
    assert axes.collections and axes.get_aspect() == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inner": 0.0}, "0 < inner < outer, since the logarithm has no centre; got 0.0 and 12.0"),
        ({"inner": -1.0}, "got -1.0 and 12.0. Try inner=0.5"),
        ({"outer": 0.5}, "got 1.0 and 0.5"),
        ({"outer": math.inf}, "got 1.0 and inf"),
        ({"radii": 1}, "radii must be a whole number, >= 2; got 1"),
        ({"angles": 8.0}, "angles must be a whole number, >= 4; got 8.0"),
        ({"ground": (math.nan,)}, "ground must be finite"),
    ],
)
def test_grids_that_are_none_are_refused(settings, message):
    numbers = {"radii": 20, "angles": 24, "inner": 1.0, "outer": 12.0} | settings
    with pytest.raises(ValueError, match=message):
        LogPolarGrid(**numbers)


def test_what_can_not_be_done_is_said():
    x = torch.rand(2, 1, *GRID.shape)
    g = motion(log_scale=0.1).expand(2, 5)
    refused = [
        (lambda: GRID.untouched(4.0), "stay below 3.46; got 4. Take a smaller inner radius"),
        (lambda: GRID.untouched(0.0), "factor must be a scale above 0"),
        (lambda: GRID.act(motion(0.1, (1.0, 0.0)).expand(2, 4), x), "g must not shift.*of_square"),
        (lambda: GRID.act(g, torch.rand(2, 1, 24, 24)), "signals of 20 rings of 24; got 24x24"),
        (lambda: GRID.act(g[:1], x), "one motion for each signal; got 1 and 2"),
        (lambda: GRID.act(g, x, "linear"), "interpolation must be one of"),
        (lambda: GRID.of_square(torch.rand(1, 1, 9, 9), None, "linear"), "must be one of"),
        (lambda: GRID.on((0.1, 0.2)).act(g, x), "ground must be one number"),
        (lambda: LogPolarGrid.covering(20, inner=30.0), "between 0 and the outer radius, 9.5 px"),
        (lambda: LogPolarConv(1, 1, 4), "kernel must be an odd number of samples"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()
