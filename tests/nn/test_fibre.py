"""Fibre layers commute with the group, leave nothing out, and agree with escnn's."""

import math

import escnn.nn as enn
import pytest
import torch
import torch.nn.functional as F
from escnn import gspaces
from torch import Tensor

from eqvae.nn.fibre import (
    FibreAction,
    FibreLinear,
    FibreMLP,
    FibreNorm,
    FourierSiLU,
    circle_functions,
    fibre_order,
)
from eqvae.symmetry import PlaneMotions, Representation, compose, inverse, motion
from eqvae.testing import relative_error
from tests.cases import BY_NAME, draw

GROUPS = pytest.mark.parametrize("symmetry", [PlaneMotions.so2(), PlaneMotions.o2()], **BY_NAME)
FREQUENCY = 3


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def functions(channels: int, frequency: int = FREQUENCY) -> Representation:
    """The representation of `channels` functions on the circle."""
    return Representation((channels,) * (frequency + 1), position=False)


def act(g: Tensor, h: Tensor) -> Tensor:
    """g on coefficients (2L + 1, C, B), through the latent's own action."""
    rows, channels, _ = h.shape
    rho = functions(channels, rows // 2)
    order = fibre_order(rho, rows // 2)
    flat = torch.empty(h.shape[2], rho.dim)
    flat[:, order.flatten()] = h.flatten(0, 1).T
    return rho.act(g, flat)[:, order.flatten()].T.reshape(h.shape)


def random_functions(channels: int, frequency: int = FREQUENCY, n: int = 8) -> Tensor:
    return torch.randn(2 * frequency + 1, channels, n)


@GROUPS
def test_linear_layers_commute_with_every_motion(symmetry):
    layer, h = FibreLinear(4, 5, FREQUENCY, symmetry), random_functions(4)
    torch.nn.init.normal_(layer.bias)
    g = draw(symmetry, 8)
    torch.testing.assert_close(layer(act(g, h)), act(g, layer(h)), rtol=1e-12, atol=1e-12)
    assert FibreLinear(2, 3, 0, symmetry)(random_functions(2, 0)).shape == (1, 3, 8)


@pytest.mark.parametrize("mirrored", [PlaneMotions.so2()], **BY_NAME)
def test_linear_layers_of_so2_see_handedness(mirrored):
    """A control: complex weights do not commute with mirrors."""
    layer, h = FibreLinear(4, 5, FREQUENCY, mirrored), random_functions(4)
    g = motion(reflection=1.0)
    assert relative_error(layer(act(g, h)), act(g, layer(h))) > 0.3


@GROUPS
def test_linear_layers_span_all_equivariant_maps(symmetry):
    """As many weights as escnn finds by Schur's lemma, and every map of escnn's is one of ours."""
    c_in, c_out = 2, 3
    space = gspaces.no_base_space(symmetry.group)
    labels = [(1, ell) if symmetry.reflections else (ell,) for ell in range(FREQUENCY + 1)]
    if symmetry.reflections:
        labels[0] = (0, 0)
    types = [
        enn.FieldType(space, [space.irrep(*label) for label in labels for _ in range(count)])
        for count in (c_in, c_out)
    ]
    torch.set_default_dtype(torch.float32)
    theirs = enn.Linear(*types, bias=False)
    torch.set_default_dtype(torch.float64)
    ours = FibreLinear(c_in, c_out, FREQUENCY, symmetry)
    weights = [ours.invariant, ours.weight]
    assert sum(w.numel() for w in weights) == sum(p.numel() for p in theirs.parameters())

    rows_in = fibre_order(functions(c_in), FREQUENCY).flatten()
    rows_out = fibre_order(functions(c_out), FREQUENCY).flatten()
    unit = torch.eye(len(rows_in)).reshape(2 * FREQUENCY + 1, c_in, -1)
    basis = []
    for weight in weights:
        for i in range(weight.numel()):
            for other in weights:
                other.data.zero_()
            weight.data.view(-1)[i] = 1
            matrix = torch.zeros(len(rows_out), len(rows_in))
            matrix[rows_out[:, None], rows_in[None]] = ours(unit).detach().flatten(0, 1)
            basis.append(matrix.flatten())
    basis = torch.stack(basis, dim=1)
    assert torch.linalg.matrix_rank(basis) == basis.shape[1]
    for seed in range(3):
        torch.manual_seed(seed)
        theirs.weights.data.normal_()
        matrix = theirs.expand_parameters()[0].detach().double().flatten()
        rest = matrix - basis @ torch.linalg.lstsq(basis, matrix[:, None]).solution[:, 0]
        assert rest.norm() < 1e-5 * matrix.norm()  # escnn's basis is in float32


def aliasing(oversampling: int, frequency: int = 5) -> float:
    """Worst relative error of SiLU over angles, for random functions with unit coefficients."""
    layer = FourierSiLU(frequency, oversampling=oversampling)
    h, errors = random_functions(1, frequency, n=100), []
    for angle in torch.linspace(0.1, 6.0, 7):
        g = motion(angle=angle).expand(100, 4)
        errors.append(relative_error(layer(act(g, h)), act(g, layer(h))))
    return max(errors)


def test_aliasing_falls_exponentially_with_oversampling():
    """The figures of the module's docstring; 3 L is the first multiple above critical 2 L + 1."""
    critical, eight, sixteen = aliasing(3), aliasing(8), aliasing(16)
    assert 0.05 < critical < 0.3
    assert eight < 1e-2
    assert sixteen < 3e-4
    assert sixteen < 0.1 * eight < 0.01 * critical


@pytest.mark.parametrize("out_frequency", [None, 6])
def test_silu_is_exact_at_its_own_samples_and_mirrors(out_frequency):
    layer, h = FourierSiLU(FREQUENCY, out_frequency, oversampling=4), random_functions(2)
    count = len(layer.to_samples)
    turns = motion(angle=torch.arange(8) * (2 * math.pi / count))
    mirrors = motion(angle=torch.arange(8) * (2 * math.pi / count), reflection=1.0)
    for g in (turns, mirrors):
        torch.testing.assert_close(layer(act(g, h)), act(g, layer(h)), rtol=1e-12, atol=1e-12)


def test_silu_agrees_with_escnns_sampling():
    """The matrices of escnn's FourierPointwise, whose normalisation is off so that 1 means 1."""
    symmetry, count = PlaneMotions.so2(), 8 * FREQUENCY
    space = gspaces.no_base_space(symmetry.group)
    irreps = [(ell,) for ell in range(FREQUENCY + 1)]
    theirs = enn.FourierPointwise(
        space, 2, irreps, N=count, function="p_elu", normalize=False
    ).double()
    h = random_functions(2)
    expected = theirs.Ainv @ F.silu(theirs.A @ h.flatten(1))
    actual = FourierSiLU(FREQUENCY)(h).flatten(1)
    torch.testing.assert_close(
        actual, expected, rtol=1e-6, atol=1e-6
    )  # escnn adds 1e-8 on inverting


def test_silu_of_a_constant_is_silu():
    h = torch.zeros(2 * FREQUENCY + 1, 1, 3)
    h[0, 0] = torch.tensor([-1.0, 0.5, 2.0])
    out = FourierSiLU(FREQUENCY)(h)
    torch.testing.assert_close(out[0], F.silu(h[0]))
    assert out[1:].abs().max() < 1e-15


@pytest.mark.parametrize("oversampling", [1, 2, 8])
@pytest.mark.parametrize("out_frequency", [1, 5, 20])
def test_the_samples_always_determine_the_coefficients(oversampling, out_frequency):
    layer = FourierSiLU(FREQUENCY, out_frequency, oversampling)
    samples = circle_functions(out_frequency, len(layer.to_samples))
    unit = torch.eye(2 * out_frequency + 1)
    torch.testing.assert_close(layer.to_coefficients @ samples, unit, rtol=0, atol=1e-12)
    assert len(layer.to_samples) % 4 == 0  # quarter turns are exact


def test_norm_is_one_invariant_for_each_object():
    h, norm = random_functions(4), FibreNorm()
    g = draw(PlaneMotions.o2(), 8)
    torch.testing.assert_close(norm(act(g, h)), act(g, norm(h)))
    torch.testing.assert_close(norm(h).square().mean(dim=(0, 1)), torch.ones(8), rtol=1e-5, atol=0)
    assert norm(torch.zeros_like(h)).abs().max() == 0
    torch.testing.assert_close(norm(h)[..., :1], norm(h[..., :1]))  # the batch has no say


TYPES = [
    (
        Representation((3, 2, 1), position=False),
        Representation((2, 0, 4), position=False),
    ),
    (
        Representation((0, 2), position=False),
        Representation((1, 1, 1, 1, 1, 1), position=False),
    ),
    (Representation((1,) * 7, position=False), Representation((2,), position=False)),
]


@GROUPS
@pytest.mark.parametrize(("in_type", "out_type"), TYPES, ids=["mixed", "gaps", "wide"])
def test_networks_map_one_representation_to_the_other(symmetry, in_type, out_type):
    network = FibreMLP(
        in_type, out_type, symmetry, hidden=6, frequency=3, out_frequency=4, oversampling=24
    )
    h = torch.randn(8, in_type.dim)
    g = draw(symmetry, 8)
    # three non-linearities at 24 samples for each unit of frequency: 1e-5 each
    assert relative_error(network(in_type.act(g, h)), out_type.act(g, network(h))) < 3e-4
    quarter = motion(angle=math.pi / 2).expand(8, 4)
    expected = out_type.act(quarter, network(h))
    torch.testing.assert_close(network(in_type.act(quarter, h)), expected, rtol=1e-10, atol=1e-10)


def test_frequencies_above_the_band_limit_stay_zero():
    out_type = Representation((1, 1, 1, 1), position=False)
    network = FibreMLP(functions(2, 2), out_type, PlaneMotions.so2(), hidden=3, frequency=2)
    out = network(torch.randn(4, 10))
    blocks = {block.name: out[:, block.slice] for block in out_type.blocks}
    assert blocks["psi3"].abs().max() == 0
    assert all(blocks[name].abs().min() > 0 for name in ("psi0", "psi1", "psi2"))


def test_gradient_reaches_every_parameter():
    network = FibreMLP(
        functions(2), functions(2), PlaneMotions.so2(), hidden=3, frequency=3, depth=4
    )
    network(torch.randn(8, 14)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_depth_is_checked():
    with pytest.raises(ValueError, match="depth must be >= 2 hidden layers; got 1"):
        FibreMLP(functions(1), functions(1), PlaneMotions.so2(), hidden=2, frequency=3, depth=1)


def test_features_move_as_functions_on_the_circle():
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(7, 2, 5, generator=generator, dtype=torch.float64)
    a = PlaneMotions.o2().sample(5, generator=generator).double()
    b = PlaneMotions.o2().sample(5, generator=generator).double()
    act = FibreAction()
    torch.testing.assert_close(act(a, act(b, h)), act(compose(a, b), h))
    turn = torch.tensor([[0.0, 1e-6, 0.0, 0.0]], dtype=torch.float64).expand(5, -1)
    slope = (act(turn, h) - act(inverse(turn), h)) / 2e-6
    torch.testing.assert_close(act.velocity(h, "rotation"), slope, atol=1e-8, rtol=1e-8)
    assert act.velocity(h, "shift_x").abs().max() == 0
    points = circle_functions(3, 8).double()  # a quarter turn moves the function by two samples
    quarter = torch.tensor([[0.0, math.pi / 2, 0.0, 0.0]], dtype=torch.float64).expand(5, -1)
    turned = torch.einsum("nf,fcb->ncb", points, act(quarter, h))
    torch.testing.assert_close(turned, torch.einsum("nf,fcb->ncb", points, h).roll(2, dims=0))
