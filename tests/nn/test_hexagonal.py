"""Networks on the hexagonal lattice: group convolutions of C6, disk harmonics, localisers, and what is
refused.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.nn import CentreOfMass, DiskHarmonics, Localiser, SteerableEncoder
from eqvae.nn.hexagonal import GroupConvolution, LiftingConvolution, turned_field
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes

LATTICES = [HexagonalGrid(15), SquareGrid(15)]
ORDER = {"HexagonalGrid": 6, "SquareGrid": 4}


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)


def network(domain: HexagonalGrid | SquareGrid, steps: int) -> nn.Sequential:
    layers = nn.Sequential(
        LiftingConvolution(domain, 2, 3, steps),
        nn.ReLU(),
        GroupConvolution(domain, 3, 4, steps),
        nn.ReLU(),
        GroupConvolution(domain, 4, 2, steps),
    )
    for layer in layers[::2]:
        nn.init.normal_(layer.bias)
    return layers


def image(domain: HexagonalGrid | SquareGrid) -> Tensor:
    x = torch.randn(2, 2, *domain.shape)
    return x * domain.hexagon() if isinstance(domain, HexagonalGrid) else x


def errors(layers: nn.Module, domain: HexagonalGrid | SquareGrid) -> list[float]:
    x, n = image(domain), ORDER[type(domain).__name__]
    still, found = layers(x), []
    for k in range(1, n):
        g = motion(2 * math.pi * k / n).expand(2, 4)
        expected = turned_field(still, k, domain)
        found.append(((layers(domain.act(g, x)) - expected).norm() / expected.norm()).item())
    return found


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("domain", LATTICES, ids=lambda d: type(d).__name__)
def test_group_convolutions_commute_with_the_turns_of_their_lattice(domain, steps):
    """To rounding on white noise; kernels of their own for each orientation, and unrolled fields, fail."""
    layers = network(domain, steps)
    assert max(errors(layers, domain)) < 1e-10
    for layer in layers[::2]:
        points = layer.turned.shape[1]
        layer.turned = torch.stack([torch.randperm(points) for _ in layer.turned])
    assert min(errors(layers, domain)) > 0.03


def test_kernels_have_seven_and_nineteen_points_and_gradients_reach_them():
    for steps, points in ((1, 7), (2, 19)):
        layers = network(HexagonalGrid(11), steps)
        assert layers[0].num_points == points and layers[2].weight.shape == (4, 3, 6, points)
        layers(torch.randn(1, 2, 11, 11)).square().sum().backward()
        assert all(p.grad.abs().amax() > 0 for p in layers.parameters())
    with pytest.raises(ValueError, match="steps must be 1 or 2.*got 3"):
        LiftingConvolution(HexagonalGrid(11), 1, 1, 3)


def test_disk_harmonics_are_orthonormal_on_the_lattice_and_the_same_off_it():
    for spacing in (2 / math.sqrt(3), 0.9):
        grid = HexagonalGrid(51, spacing=spacing)
        harmonics = DiskHarmonics(grid, 1, 8, 2.3 * math.sqrt(18))
        assert DiskHarmonics.of(*harmonics.numbers) == harmonics
        t = torch.tensor([[0.3, -0.7]]).expand(harmonics.dim, 2)
        drawn = harmonics.synthesise(torch.eye(harmonics.dim)[:, None], t)
        gram = drawn.flatten(1) @ drawn.flatten(1).T
        torch.testing.assert_close(gram, torch.eye(harmonics.dim), atol=1e-8, rtol=0)
        points = grid.points().reshape(1, -1, 2).expand(3, -1, -1)
        a, t = torch.randn(3, 1, harmonics.dim), torch.randn(3, 2)
        images = harmonics.synthesise(a, t)
        torch.testing.assert_close(harmonics.evaluate(a, t, points), images.flatten(2))
        torch.testing.assert_close(harmonics.analyse(images, t), a, atol=1e-8, rtol=0)


def test_localisers_move_with_what_they_see():
    """Exactly at sixths of a turn, and with scenes at any motion; standing still is the control."""
    grid = HexagonalGrid(41)
    scenes = GaussianScenes(3, size=41, domain=grid)
    g = motion(torch.tensor([0.4, 1.9, 4.0]), torch.tensor([[1.3, -2.1]] * 3))
    sixth = motion(math.pi / 3).expand(3, 4)
    for part, bound in ((CentreOfMass(grid), 1e-6), (Localiser(grid), 0.02)):
        with torch.no_grad():
            still, moved = part(scenes.render()), part(scenes.render(g))
            turned = part(grid.act(sixth, scenes.render() * grid.hexagon()))
            plain = part(scenes.render() * grid.hexagon())
        expected = apply(g, still[:, None])[:, 0]
        assert (moved - expected).abs().max() < bound and (moved - still).abs().max() > 1
        torch.testing.assert_close(turned, apply(sixth, plain[:, None])[:, 0], atol=1e-9, rtol=0)


def test_blurs_of_a_lattice_are_sums_over_all_points():
    grid, scale = HexagonalGrid(15), 1.5
    part = Localiser(grid, scales=(scale, 2 * scale)).double()
    x = torch.rand(1, 1, 15, 15) * grid.hexagon()
    apart = part.points.flatten(0, 1)[:, None] - grid.points().flatten(0, 1)
    weights = (
        (-apart.square().sum(-1) / (2 * scale**2)).exp() * grid.area / (2 * math.pi * scale**2)
    )
    expected = (weights @ x.flatten()).view(part.points.shape[:2])
    seen = (grid.hexagon() > 0)[1::2, 1::2]
    assert torch.equal(part.points, grid.points()[1::2, 1::2])
    torch.testing.assert_close(part.blurs(x)[0, 0, 0][seen], expected[seen], atol=2e-3, rtol=0)


def test_steerable_networks_refuse_the_lattice_and_name_a_way_out():
    with pytest.raises(ValueError, match="domain must be a SquareGrid.*Use domain=square, or"):
        SteerableEncoder(HexagonalGrid(41), 1, Representation((4, 2)), PlaneMotions.so2())
