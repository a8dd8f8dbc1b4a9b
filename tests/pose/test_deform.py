"""Random deformations: none where none is wanted, the same again by seed, and which of them turn."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.nn.deformations import GENERATORS, generator_matrix
from eqvae.pose.deform import RandomDeformation, deformation_bank
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.testing import assert_equivariant, relative_error
from tests.cases import basis, draw
from tests.pose.scenes import SIZE, space

DIM = space().harmonics.dim
LAYOUT = Representation(space().harmonics.multiplicities, position=False)
ISOTROPIC = ("scale", "heat")


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def made(scales: dict[str, float] | None = None, **settings) -> RandomDeformation:
    settings = {"bank": 8, "groups": 4, **settings}
    return RandomDeformation(space().harmonics, scales, **settings)


def same_draw(deform: RandomDeformation, a: Tensor) -> Tensor:
    torch.manual_seed(0)
    return deform(a)


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_coefficients_keep_their_shape(batch, channels):
    a = torch.randn(batch, channels, DIM)
    deformed = made()(a)
    assert deformed.shape == a.shape and deformed.dtype == a.dtype
    assert relative_error(deformed, a) > 0.05  # control: it does something


def test_deformations_are_linear_and_the_same_in_every_channel():
    a, b = torch.randn(2, 6, 2, DIM)
    deform = made()
    together = same_draw(deform, a + 2 * b)
    torch.testing.assert_close(together, same_draw(deform, a) + 2 * same_draw(deform, b))
    torch.testing.assert_close(same_draw(deform, a.flip(1)), same_draw(deform, a).flip(1))


def test_scales_of_zero_are_the_identity():
    a = torch.randn(5, 1, DIM)
    deform = made(dict.fromkeys(GENERATORS, 0.0))
    torch.testing.assert_close(deform.matrices, torch.eye(DIM).expand(8, -1, -1))
    torch.testing.assert_close(deform(a), a)


def test_the_seed_decides_on_the_bank():
    assert torch.equal(made(seed=3).matrices, made(seed=3).matrices)
    assert not torch.equal(made(seed=3).matrices, made(seed=4).matrices)
    assert not made().state_dict()  # made anew, not stored


def test_one_group_is_deformed_alike_and_groups_are_not():
    a = torch.randn(1, 1, DIM).expand(6, -1, -1)
    alike, apart = (same_draw(made(groups=groups), a) for groups in (1, 6))
    torch.testing.assert_close(alike, alike[:1].expand_as(alike))
    assert relative_error(apart, apart[:1].expand_as(apart)) > 0.05


@pytest.mark.parametrize("name", GENERATORS)
def test_only_isotropic_deformations_commute_with_turns_and_mirrors(name):
    deform, a = made({name: 0.3}), torch.randn(4, DIM)

    def check() -> None:
        assert_equivariant(
            lambda v: same_draw(deform, v[:, None])[:, 0],
            a,
            draw(PlaneMotions.o2(), 6, shift=0.0),
            act_in=LAYOUT.act,
            act_out=LAYOUT.act,
            rtol=1e-9,
        )

    if name in ISOTROPIC:
        check()
    else:  # control
        with pytest.raises(AssertionError, match="not equivariant"):
            check()


def test_the_inverse_of_a_blur_is_half_as_wide():
    """u is read from log det exp(u G) = u tr G, in units of its scale."""
    harmonics, count, scale = basis(SIZE, degree=4), 2000, 0.8
    bank = deformation_bank(harmonics, {"scale": 0.1, "heat": scale}, count, seed=0)
    trace = generator_matrix(harmonics, "heat").trace()  # that of scale is 0
    u = bank.logdet() / (trace * scale)
    blur, inverse = u[u > 0], -u[u < 0]
    assert abs(len(blur) / count - 0.5) < 4 * 0.5 / math.sqrt(count)
    half_normal = math.sqrt(2 / math.pi)  # the mean of |N(0, 1)|; its standard deviation is 0.6
    for side, width in ((blur, 1.0), (inverse, 0.5)):
        error = 4 * 0.6 * width / math.sqrt(len(side))
        assert abs(side.mean() - width * half_normal) < error


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"twist": 0.1}, r"for \['shift_x'.*got 'twist': 0.1"),
        ({"scale": 0.1, "shear": -0.2}, "standard deviations >= 0 .*got 'shear': -0.2"),
        ({"heat": float("nan")}, "got 'heat': nan"),
    ],
)
def test_mistakes_are_named(scales, message):
    with pytest.raises(ValueError, match=message):
        made(scales)
