"""Audits of functions: laws, floors, ceilings, layers, and controls that are flagged."""

import math

import pytest
import torch
from torch import nn

from eqvae.domains import SquareGrid
from eqvae.lens import audit
from eqvae.symmetry import PlaneMotions, Representation, SpaceRotations
from eqvae.testing import GaussianScenes

C4, SO2, O3 = PlaneMotions.cyclic(4), PlaneMotions.so2(), SpaceRotations(parity=True)


def test_a_latent_is_audited_by_block_and_the_broken_block_is_found():
    latent, x = Representation.parse("position + 2x0 + 1x1"), torch.randn(30, 6, 2).double()

    def f(x, broken):
        first = x[:, 0] - x.mean(1)
        size = torch.stack([first.norm(dim=1), x.var(1).sum(1)], dim=1)
        return torch.cat([x.mean(1), size, first.relu() if broken else first], dim=1)

    good = audit(lambda x: f(x, False), SO2, "points", latent, x, shift=3.0)
    assert good.value < 1e-12 and good.holds() and good.floor == 0 and good.ceiling > 0.1
    bad = audit(lambda x: f(x, True), SO2, "points", latent, x, shift=3.0)
    assert not bad.holds() and bad.blocks["psi1"] > 0.3
    assert max(error for name, error in bad.blocks.items() if name != "psi1") < 1e-12
    assert bad.worst[0] >= bad.value and len(bad.by_element) == len(bad.elements)


def test_wrong_actions_are_flagged_and_chance_is_measured():
    x = torch.randn(50, 6, dtype=torch.float64)
    momentum = lambda x: torch.linalg.cross(x[:, :3], x[:, 3:])  # noqa: E731
    found = audit(momentum, O3, "2x1o", "1o", x)
    right = audit(momentum, O3, "2x1o", "1e", x)
    assert found.value > 1 and right.value < 1e-12
    assert right.ceiling == pytest.approx(math.sqrt(2), rel=0.15)
    assert right.wrong_element > 0.5
    assert "unrelated inputs give" in str(right)


def test_outputs_that_hardly_vary_do_not_pass_for_invariant():
    x = torch.randn(50, 2, dtype=torch.float64)
    found = audit(lambda x: 100 + x[:, :1], SO2, "1x1", "trivial", x)
    assert found.value < 0.02 and not found.holds(tolerance=0.05)  # no better than chance


def test_noise_is_the_floor():
    x = torch.randn(200, 3, dtype=torch.float64)
    noisy = lambda x: x + 0.1 * torch.randn_like(x)  # noqa: E731
    found = audit(noisy, O3, "1o", "1o", x)
    assert found.value == pytest.approx(found.floor, rel=0.1)
    assert found.floor == pytest.approx(0.1 * math.sqrt(2), rel=0.1)
    assert found.holds()


def test_images_have_a_floor_of_resampling_and_layers():
    x = GaussianScenes(4, size=21, dtype=torch.float64).render()
    blur = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Tanh()).double().eval()
    with torch.no_grad():
        blur[0].weight[:] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    grid = SquareGrid(21)
    exact = audit(blur, C4, grid, grid, x)
    assert exact.value < 1e-12 and exact.floor < 1e-12
    assert [row.name for row in exact.layers] == ["0", "1"]
    assert all(row.errors["rotation"] < 1e-12 for row in exact.layers)
    assert all("shift" not in row.errors for row in exact.layers)
    finer = audit(blur, PlaneMotions.cyclic(8), grid, grid, x)
    assert 0 < finer.floor < 0.1 and finer.value < 0.1
    nn.init.normal_(blur[0].weight)
    broken = audit(blur, C4, grid, grid, x)
    assert not broken.holds(0.05) and broken.layers[0].local["rotation"] > 0.1


def test_layers_of_vectors_are_told_how_they_move():
    class Norms(nn.Module):
        def forward(self, x):
            return x.unflatten(1, (-1, 3)).norm(dim=2)

    model = nn.Sequential(nn.Identity(), Norms()).eval()
    x = torch.randn(20, 6, dtype=torch.float64)
    found = audit(model, O3, "2x1o", "2x0e", x, layers={"0": "2x1o", "1": "2x0e"})
    assert [row.moves for row in found.layers] == ["given", "given"]
    assert max(row.errors["rotation"] for row in found.layers) < 1e-12
    assert not audit(model, O3, "2x1o", "2x0e", x).layers
