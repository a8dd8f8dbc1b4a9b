"""Layers handed to the steerable networks: by constructors and by YAML, with the networks' laws."""

from functools import partial

import pytest
import torch

from eqvae.config import build
from eqvae.domains import SquareGrid
from eqvae.nn import (
    FieldDropout,
    GaussianDownsample,
    MaxOverOrientations,
    MaxPool,
    NormMaxPool,
    SteerableDecoder,
    SteerableEncoder,
)
from eqvae.nn.fields.layer import FieldLayer
from eqvae.registry import check_parts
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.testing import assert_equivariant, quarter_turns
from tests.cases import move

C4, SO2 = PlaneMotions.cyclic(4), PlaneMotions.so2()
LATENT = Representation((3, 2))
SMALL = {"width": 8, "maps": 2, "hidden": 2, "kernel_size": 5}


def encoder(symmetry: PlaneMotions, size: int = 33, **parts) -> SteerableEncoder:
    torch.manual_seed(0)
    sizes = SMALL | parts
    return SteerableEncoder(SquareGrid(size), 1, LATENT, symmetry, **sizes).double()


@pytest.mark.parametrize(
    ("symmetry", "parts"),
    [
        (C4, {"pool": MaxPool, "layers": [partial(FieldDropout, rate=0.3)]}),
        (C4, {"layers": [partial(MaxPool, stride=1, padding=1), MaxOverOrientations]}),
        (SO2, {"pool": partial(NormMaxPool, stride=2)}),
        (SO2, {"pool": GaussianDownsample, "depth": 1}),
    ],
    ids=str,
)
def test_encoders_with_layers_are_exact_at_quarter_turns(symmetry, parts):
    part = encoder(symmetry, **parts)

    def loc(x):
        torch.manual_seed(4)  # one draw of the dropout
        return part(x).loc

    x = torch.randn(2, 1, 33, 33, dtype=torch.float64)
    worst = assert_equivariant(loc, x, quarter_turns(), act_in=move, act_out=LATENT.act, rtol=1e-5)
    assert worst > 0
    loc(x).square().sum().backward()
    assert all(p.grad is not None for name, p in part.named_parameters() if "trunk" in name)


def test_dropout_draws_in_training_alone():
    x = torch.randn(2, 1, 33, 33, dtype=torch.float64)
    part = encoder(C4, width=32, layers=[partial(FieldDropout, rate=0.3)])
    plain = encoder(C4, width=32)
    plain.load_state_dict(part.state_dict())  # weights have the same names
    assert not torch.equal(part(x).loc, part(x).loc)
    assert torch.equal(part.eval()(x).loc, part(x).loc)


def test_layers_come_from_a_configuration():
    config = {
        "_target_": "eqvae.nn.SteerableDecoder",
        "domain": {"_target_": "eqvae.domains.SquareGrid", "size": 33},
        "channels": 1,
        "representation": {
            "_target_": "eqvae.symmetry.Representation",
            "multiplicities": [3, 2],
        },
        "symmetry": {"_target_": "eqvae.symmetry.PlaneMotions.cyclic", "order": 4},
        **SMALL,
        "layers": [{"_target_": "eqvae.nn.FieldDropout", "_partial_": True, "rate": 0.2}],
    }
    check_parts(config, "config.yaml")  # what a run has stored may name them
    part = build(config, constructors_only=True).double()
    assert [m.rate for m in part.modules() if isinstance(m, FieldDropout)] == [0.2]
    z = torch.randn(2, LATENT.dim, dtype=torch.float64)
    assert_equivariant(part.eval(), z, quarter_turns(), act_in=LATENT.act, act_out=move, rtol=1e-5)


class Halves(FieldLayer):
    """A user's layer, which keeps the upper half of the fields."""

    def __init__(self, field_type, size):
        super().__init__(field_type, size, out_type=field_type.index_select([0]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"layers": [torch.nn.Dropout]}, "layers must be layers of eqvae.nn.fields.*got Dropout"),
        ({"layers": [7]}, "layers must be layers.*got 7"),
        ({"layers": [MaxPool]}, "layers must keep the 17x17 grid|leave 2 of 17"),
        ({"layers": [partial(MaxPool, window=3, stride=2)]}, "must keep the 17x17 grid; MaxPool"),
        ({"pool": MaxOverOrientations}, "pool must keep the kind of its fields"),
        ({"pool": Halves}, "pool must keep the kind of its fields"),
        (
            {"pool": partial(GaussianDownsample, stride=4)},
            "at least 2 \\* kernel_size = 10 .* got 9",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        encoder(C4, **parts)


def test_a_decoder_keeps_its_grid():
    with pytest.raises(ValueError, match="layers must keep the 37x37 grid"):
        SteerableDecoder(
            SquareGrid(33), 1, LATENT, C4, **SMALL, layers=[partial(MaxPool, window=1, stride=2)]
        )
