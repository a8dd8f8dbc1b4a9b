"""The hexagonal lattice: exact where it maps to itself, splines to and from square pixels, and what it
refuses.
"""

import math

import pytest
import torch
from torch import Tensor

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.domains.hexagonal import SAME_DENSITY
from eqvae.metrics.equivariance.resampling import band_limited
from eqvae.symmetry import PlaneMotions, inverse, motion
from eqvae.symmetry.motions import apply, compose

GRID = HexagonalGrid(21)
SIXTH = math.pi / 3


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def noise(grid: HexagonalGrid, n: int = 1, seed: int = 0) -> Tensor:
    """White noise on the hexagon, where every value tells."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 2, *grid.shape, generator=generator) * grid.hexagon()


def wave(points: Tensor, band: float, angle: float = 0.6, width: float = 5.0) -> Tensor:
    k = math.pi * band * torch.tensor([math.cos(angle), math.sin(angle)])
    envelope = (-points.square().sum(-1) / (2 * width**2)).exp()
    return (envelope * (points @ k + 0.3).cos())[None, None]


def test_neighbours_are_one_spacing_apart_and_their_density_is_one_over_the_area():
    for spacing in (1.0, SAME_DENSITY):
        points = HexagonalGrid(9, spacing=spacing).points()
        middle = points[4, 4]
        distance = (points - middle).norm(dim=-1).flatten().sort().values
        assert middle.tolist() == [0, 0]
        torch.testing.assert_close(distance[1:7], torch.full((6,), spacing))
        assert distance[7] > 1.7 * spacing
    grid = HexagonalGrid(101, spacing=SAME_DENSITY)
    assert grid.area == pytest.approx(1)
    assert grid.mask(40.0).sum().item() == pytest.approx(math.pi * 40**2, rel=0.01)
    assert HexagonalGrid(21).area == pytest.approx(2 / math.sqrt(3))
    assert HexagonalGrid(21).band == pytest.approx(math.pi)
    assert HexagonalGrid(21).radius == pytest.approx(10.5)


def test_the_dihedral_group_permutes_the_hexagon():
    """All twelve elements: exact, as the points move, and a homomorphism; 45 degrees is the control."""
    x, points, inside = noise(GRID), GRID.points().flatten(0, 1), GRID.hexagon().flatten() > 0
    elements = [motion(k * SIXTH, reflection=float(m)) for m in (0, 1) for k in range(6)]
    for g in elements:
        moved = GRID.act(g, x)
        sources = apply(inverse(g), points[None])[0]
        apart, source = (sources[:, None] - points).norm(dim=-1).min(dim=1)
        assert apart[inside].max() < 1e-12
        assert torch.equal(moved.flatten(2)[..., inside], x.flatten(2)[..., source[inside]])
        for h in elements[1::5]:
            again = GRID.act(h, moved)
            assert torch.equal(again, GRID.act(compose(h, g), x))
    eighth = motion(math.pi / 4)
    for interpolation in ("linear", "bicubic", "fourier"):
        back = GRID.act(inverse(eighth), GRID.act(eighth, x, interpolation), interpolation)
        assert (back - x).norm() > 0.05 * x.norm()


def test_whole_steps_are_exact_and_leave_ground_behind():
    grid = HexagonalGrid(21, spacing=0.8, ground=(0.25,))
    x = torch.rand(1, 1, 21, 21)
    for q, r in ((3, 0), (0, -2), (2, 5), (30, 0)):
        shift = (0.8 * (q - r / 2), 0.8 * math.sqrt(3) / 2 * r)
        moved = grid.act(motion(shift=shift, dtype=torch.float64), x)
        expected = torch.full_like(x, 0.25)
        for i in range(21):
            for j in range(21):
                if 0 <= i - r < 21 and 0 <= j + q < 21:
                    expected[..., i - r, j + q] = x[..., i, j]
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("interpolation", "bound"), [("linear", 0.08), ("bicubic", 0.04), ("fourier", 2e-4)]
)
def test_other_motions_agree_with_waves_at_moved_points(interpolation, bound):
    grid = HexagonalGrid(41)
    points, disc = grid.points(), grid.mask(15.0)
    for angle in (0.2, 0.9, 2.5, 5.0):
        g = motion(angle, (0.37, -0.71), reflection=float(angle > 2))
        sources = apply(inverse(g), points.reshape(1, -1, 2)).view_as(points)
        expected, x = wave(sources, 0.25), wave(points, 0.25)
        error = (grid.act(g, x, interpolation) - expected) * disc
        assert error.norm() < bound * expected.norm()
        assert ((x - expected) * disc).norm() > 0.3 * expected.norm()  # control


def test_float32_knows_its_exact_motions():
    x = noise(GRID).float()
    g = motion(shift=(0.0, 4.0), dtype=torch.float32)  # four rows up is no step; two steps are
    two = motion(SIXTH, (2 / math.sqrt(3) * 3, 0.0), dtype=torch.float32)
    back = GRID.act(inverse(two), GRID.act(two, x))
    kept = GRID.act(inverse(two), GRID.act(two, torch.ones_like(x)))
    assert torch.equal(back, x * kept) and kept.mean() > 0.5
    assert not torch.equal(GRID.act(inverse(g), GRID.act(g, x)), x)


def test_square_pixels_and_back():
    """Half of Nyquist survives to a part in a hundred; nothing is moved, turned or mirrored."""
    square, lattice = SquareGrid(40), HexagonalGrid(41)
    for band, bound in ((0.25, 1e-3), (0.5, 1e-2)):
        x, y = (wave(d.points(), band, width=4.0) for d in (square, lattice))
        assert (lattice.from_pixels(x) - y).norm() < bound * y.norm()
        assert (lattice.to_pixels(y, 40) - x).norm() < bound * x.norm()
        mirrored = wave(square.points() * torch.tensor([1.0, -1.0]), band, width=4.0)
        assert (lattice.from_pixels(mirrored) - y).norm() > 0.3 * y.norm()  # control
    grey = HexagonalGrid(41, ground=(0.4,)).from_pixels(torch.full((1, 1, 40, 40), 0.4))
    torch.testing.assert_close(grey, torch.full_like(grey, 0.4))


def test_frequencies_are_those_of_waves():
    f = GRID.frequencies()
    assert f[0, 0] == 0 and f.max() <= GRID.band * 2 / math.sqrt(3) + 1e-9
    x = torch.rand(1, 1, 21, 21)
    low = band_limited(x, 0.5, GRID)
    above = torch.fft.fft2(low).abs()[..., f > 0.5 * GRID.band + 1e-9]
    assert above.max() < 1e-10 and low.abs().max() > 0.05
    g = motion(0.4)
    assert GRID.resampling_error(g, low).norm() < GRID.resampling_error(g, x).norm() / 5


def test_gradients_flow_through_every_interpolation():
    x = wave(GRID.points(), 0.2).requires_grad_()
    for interpolation in ("linear", "bicubic", "fourier"):
        g = motion(0.3, (0.2, 0.1)).requires_grad_()
        GRID.act(g, x, interpolation).square().sum().backward()
        assert g.grad[0, 1:].isfinite().all() and x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 20}, "size of a hexagonal grid must be odd.*got 20. Use 21"),
        ({"size": 0}, "size must be a whole number of points, >= 1; got 0"),
        ({"size": 5, "spacing": -1.0}, "spacing must be positive, pixels; got -1.0"),
        ({"size": 5, "ground": (math.nan,)}, "ground must be finite"),
    ],
)
def test_what_is_no_lattice_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HexagonalGrid(**settings)


def test_what_is_not_on_the_lattice_is_refused():
    g, x = motion(), torch.rand(1, 1, 21, 21)
    with pytest.raises(ValueError, match="x must be images of 21x21 points.*from_pixels"):
        GRID.act(g, torch.rand(1, 1, 20, 20))
    with pytest.raises(ValueError, match="interpolation must be one of"):
        GRID.act(g, x, "nearest")
    with pytest.raises(ValueError, match="one motion for each image; got 1 and 2"):
        GRID.act(g, torch.rand(2, 1, 21, 21))
    with pytest.raises(ValueError, match="ground must be one number, or one for each of 1"):
        GRID.on((0.1, 0.2)).act(motion(0.3), x)
    assert PlaneMotions.o2() == GRID.group and GRID.black.ground == ()
