"""The projection on equivariant maps is the average over the group, and dense layers know their distance."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.nn import DenseFibreLinear
from eqvae.nn.fibre import FibreAction, FibreLinear, FibreMLP
from eqvae.nn.projected import reynolds
from eqvae.symmetry import PlaneMotions, Representation, inverse, motion
from eqvae.testing import relative_error
from tests.cases import BY_NAME, draw

GROUPS = pytest.mark.parametrize("symmetry", [PlaneMotions.so2(), PlaneMotions.o2()], **BY_NAME)
ACT, FREQUENCY = FibreAction(), 3
ROWS = 2 * FREQUENCY + 1


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def group_average(weight: Tensor, symmetry: PlaneMotions, angles: int = 64) -> Tensor:
    """1 / |G| sum rho(g)^-1 W rho(g) over equal angles, exact for more than 2 L, and mirrors."""
    rows, out, _, channels = weight.shape
    unit = torch.eye(rows * channels).reshape(rows, channels, -1)
    total = torch.zeros_like(weight)
    turns = torch.arange(angles) * (2 * math.pi / angles)
    elements = [motion(a) for a in turns]
    if symmetry.reflections:
        elements += [motion(a, reflection=1.0) for a in turns]
    for element in elements:
        g = element.expand(rows * channels, 4)
        moved = torch.einsum("aobi,bin->aon", weight, ACT(g, unit))
        total += ACT(inverse(g), moved).reshape_as(weight) / len(elements)
    return total


@GROUPS
def test_the_formula_is_the_group_average(symmetry):
    weight = torch.randn(ROWS, 3, ROWS, 2)
    projected = reynolds(weight, symmetry.reflections)
    torch.testing.assert_close(projected, group_average(weight, symmetry), rtol=0, atol=1e-12)
    torch.testing.assert_close(reynolds(projected, symmetry.reflections), projected)  # idempotent
    assert ((weight - projected) * projected).sum().abs() < 1e-10  # and orthogonal
    other = not symmetry.reflections  # a control: the other group's average is another
    assert relative_error(reynolds(weight, other), projected) > 0.1


@GROUPS
def test_departure_is_zero_for_equivariant_layers_only(symmetry):
    layer, h, g = (
        DenseFibreLinear(4, 5, FREQUENCY, symmetry),
        torch.randn(7, 4, 8),
        draw(symmetry, 8),
    )
    torch.nn.init.normal_(layer.bias)
    assert layer.residual() > layer.size()
    assert relative_error(layer(ACT(g, h)), ACT(g, layer(h))) > 0.3  # the control
    layer.weight.data = reynolds(layer.weight.data, symmetry.reflections)
    assert layer.residual() == 0
    torch.testing.assert_close(layer.size(), layer.weight.square().sum())
    torch.testing.assert_close(layer(ACT(g, h)), ACT(g, layer(h)), rtol=1e-12, atol=1e-12)


@GROUPS
def test_fibre_layers_are_their_own_projections(symmetry):
    layer = FibreLinear(4, 5, FREQUENCY, symmetry)
    unit = torch.eye(28).reshape(7, 4, 28)
    weight = layer(unit).reshape(7, 5, 7, 4)
    torch.testing.assert_close(reynolds(weight, symmetry.reflections), weight)
    dense = DenseFibreLinear(4, 5, FREQUENCY, symmetry)
    dense.weight.data = weight.detach()
    h = torch.randn(7, 4, 8)
    torch.testing.assert_close(dense(h), layer(h))
    kept = layer.invariant.numel() + layer.weight.numel()
    assert dense.freedom == 28 * 35 - kept


def test_the_penalty_alone_leads_to_the_projection():
    layer = DenseFibreLinear(2, 3, FREQUENCY, PlaneMotions.so2())
    expected = reynolds(layer.weight.detach())
    optimizer = torch.optim.SGD([layer.weight], lr=0.25)
    for _ in range(60):
        optimizer.zero_grad()
        layer.residual().backward()
        optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), expected)


def test_networks_of_dense_layers_learn_everywhere():
    features = Representation((2,) * (FREQUENCY + 1), position=False)
    network = FibreMLP(
        features, features, PlaneMotions.so2(), hidden=3, frequency=3, linear=DenseFibreLinear
    )
    network(torch.randn(8, features.dim)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
