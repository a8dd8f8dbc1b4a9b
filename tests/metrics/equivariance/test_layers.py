"""The table finds the layer that breaks the law, and knows how layers move."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.domains import SquareGrid
from eqvae.metrics.equivariance.layers import layer_table
from eqvae.nn import SteerableEncoder
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.testing import GaussianScenes
from tests.cases import BY_NAME

SIZE = 33


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def images(size: int = SIZE) -> Tensor:
    return GaussianScenes(3, seed=0, size=size).render()


class Blur(nn.Module):
    """An isotropic filter, and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        g = torch.arange(-4, 5.0)
        kernel = torch.exp(-(g[:, None] ** 2 + g**2) / 2 / 1.5**2)
        kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 9, 9)
        return F.conv2d(x, kernel, padding=4, groups=x.shape[1])


def steerable(symmetry: PlaneMotions) -> SteerableEncoder:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)  # escnn builds its kernels in no other
    sizes = {"width": 12, "maps": 4, "hidden": 4}
    encoder = SteerableEncoder(SquareGrid(SIZE), 1, Representation((2, 1)), symmetry, **sizes)
    torch.set_default_dtype(torch.float64)
    return encoder.double().eval()


class Slope(nn.Module):
    """Multiplies by the column: breaks every law but shifts along y."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.linspace(0, 1, x.shape[-1])


def test_the_broken_layer_is_found():
    chain = {"blur": Blur(), "square": nn.SiLU(), "broken": Slope(), "again": Blur()}
    rows = {row.name: row for row in layer_table(chain, images())}
    assert list(rows) == list(chain)
    for kind in ("rotation", "quarter_turn", "shift"):
        whole = {layer: row.errors[kind] for layer, row in rows.items()}
        alone = {layer: row.local[kind] for layer, row in rows.items()}
        assert whole["blur"] < 1e-3
        assert alone["broken"] > 5e-3 and whole["again"] > 5e-3
        assert alone["again"] < 0.1 * alone["broken"]
        assert whole["blur"] == pytest.approx(alone["blur"])  # the first layer is its own
    assert rows["broken"].lie["rotation"] > 20 * rows["blur"].lie["rotation"]
    assert rows["broken"].lie["shift"] > 100 * rows["blur"].lie["shift"]
    assert all(row.method == "forward mode" and row.moves == "map" for row in rows.values())


def test_a_chain_a_sequential_and_names_agree():
    modules = {"a": Blur(), "b": nn.SiLU()}
    chained = layer_table(modules, images())
    ordered = nn.Sequential(*modules.values())
    named = layer_table(ordered, images(), names=["1"])
    assert named[0].errors["rotation"] == pytest.approx(chained[1].errors["rotation"])
    assert (named[0].kind, named[0].shape) == ("SiLU", (1, SIZE, SIZE))


def test_grids_of_their_own_and_vectors():
    """A centred stride of 2 doubles the pixel; a mean over all pixels is invariant."""
    chain = {
        "blur": Blur(),
        "pool": nn.AvgPool2d(2),
        "valid": nn.AvgPool2d(3, 1),
        "flat": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    table = {row.name: row for row in layer_table(chain, images(50), names=list(chain))}
    assert table["pool"].shape == (1, 25, 25) and table["valid"].shape == (1, 23, 23)
    assert table["pool"].errors["shift"] < 5e-2 and table["valid"].errors["shift"] < 5e-2
    assert table["pool"].errors["quarter_turn"] < 1e-12
    assert table["flat"].moves == "invariant"
    assert table["flat"].errors["rotation"] < 1e-3 and table["flat"].lie["rotation"] < 1e-3


def test_a_layer_moves_as_it_is_told():
    class Centre(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            points = torch.linspace(-16, 16, SIZE)
            mass = x.sum((1, 2, 3))
            return torch.stack([x.sum((1, 2)) @ points, -x.sum((1, 3)) @ points], 1) / mass[:, None]

    from eqvae.symmetry.motions import apply

    x = GaussianScenes(3, seed=0, size=SIZE).render(torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    told = layer_table({"centre": Centre()}, x, actions={"centre": apply})[0]
    assert told.moves == "given"
    assert set(told.errors) == {"rotation", "quarter_turn", "shift"}
    assert max(told.errors.values()) < 1e-3
    assert told.lie["rotation"] < 1e-3 and told.lie["shift"] < 1e-3
    alone = layer_table({"centre": Centre()}, x)[0]
    assert alone.moves == "invariant" and alone.errors["quarter_turn"] > 1  # the control


@pytest.mark.parametrize(
    "symmetry",
    [PlaneMotions.cyclic(4), PlaneMotions.cyclic(8), PlaneMotions.so2(), PlaneMotions.o2()],
    **BY_NAME,
)
def test_steerable_layers_move_by_their_type(symmetry):
    encoder = steerable(symmetry)
    rows = [
        row for row in layer_table(encoder, images(), lie=False) if row.name.startswith("trunk")
    ]
    assert {row.kind for row in rows} >= {"SteerableConv", "FieldNorm"}
    assert all(row.moves == "fields" for row in rows)
    assert max(row.errors["quarter_turn"] for row in rows) < 2e-6  # escnn's kernels are float32
    if symmetry == PlaneMotions.cyclic(4):  # 45 degrees is not in the group: no number
        assert not any("rotation" in row.errors for row in rows)
    else:
        assert max(row.errors["rotation"] for row in rows) < 0.1


def test_fields_moved_as_maps_fail():
    """The control: without their type, steerable features look wrong."""
    encoder = steerable(PlaneMotions.cyclic(4))
    told = {"trunk.0.0": lambda g, h: SquareGrid.of(h).act(g, h, "fourier")}
    row = layer_table(encoder, images(), names=["trunk.0.0"], actions=told, lie=False)[0]
    assert row.errors["quarter_turn"] > 0.1


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"names must be submodules .* got \['head'\]"):
        layer_table({"blur": Blur()}, images(), names=["head"])
