"""Laws of the layers on fields: f(g h) = g f(h) on white noise, each with a control that must fail."""

from functools import partial

import pytest
import torch
from escnn.nn import FieldType
from torch import Tensor, nn

from eqvae.metrics.equivariance.layer_actions import FieldAction
from eqvae.metrics.equivariance.velocity import ImageAction
from eqvae.nn import (
    FibreDropout,
    FieldDropout,
    GaussianDownsample,
    MaxOverOrientations,
    MaxPool,
    MeanOverOrientations,
    NormMaxPool,
    NormOverOrientations,
)
from eqvae.nn.steerable.blocks import function_fields, scalar_fields
from eqvae.symmetry import PlaneMotions
from eqvae.testing import assert_equivariant, controls, quarter_turns
from eqvae.testing.laws import relative_error

EXACT = 1e-12
IMAGES = 4
C8, D4, SO2 = PlaneMotions.cyclic(8), PlaneMotions.dihedral(4), PlaneMotions.so2()


def vectors(symmetry: PlaneMotions = SO2, count: int = 2) -> FieldType:
    """Fields of pairs that turn with the object."""
    group = symmetry.gspace.fibergroup
    irrep = group.irrep(1, 1) if symmetry.reflections else group.irrep(1)
    return FieldType(symmetry.gspace, [irrep] * count)


def fields(symmetry: PlaneMotions) -> FieldType:
    return function_fields(symmetry, 16)


def act(field_type: FieldType, g: Tensor, h: Tensor) -> Tensor:
    """The action of a layer's fields, by representations that the layers don't use."""
    return FieldAction(field_type, ImageAction())(g, h)


def noise(field_type: FieldType, size: int) -> Tensor:
    return torch.randn(IMAGES, field_type.size, size, size, dtype=torch.float64)


def error(layer: nn.Module, in_type: FieldType, out_type: FieldType, size: int) -> float:
    mirrored = in_type.gspace.flips_order > 0
    return assert_equivariant(
        layer,
        noise(in_type, size),
        quarter_turns(reflections=mirrored),
        act_in=partial(act, in_type),
        act_out=partial(act, out_type),
        rtol=torch.inf,
    )


def same_draw(layer: nn.Module, seed: int = 5):
    """The layer with one draw for all inputs."""

    def f(h: Tensor) -> Tensor:
        torch.manual_seed(seed)
        return layer(h)

    return f


@pytest.mark.parametrize(
    ("layer", "kind", "size"),
    [
        *((MaxPool, fields(symmetry), 33) for symmetry in (C8, D4)),
        (partial(MaxPool, window=3, stride=1, padding=1), fields(D4), 12),
        (partial(MaxPool, window=2), scalar_fields(SO2, 3), 12),
        *((NormMaxPool, kind, 33) for kind in (vectors(), vectors(D4), fields(SO2), fields(C8))),
        (partial(NormMaxPool, window=3, stride=2, padding=1), vectors(), 13),
        *((GaussianDownsample, fields(symmetry), 12) for symmetry in (D4, SO2)),
        (partial(GaussianDownsample, stride=3), vectors(), 16),
        *((MaxOverOrientations, fields(symmetry), 9) for symmetry in (C8, D4)),
        *((MeanOverOrientations, fields(symmetry), 9) for symmetry in (D4, SO2)),
        *((NormOverOrientations, kind, 9) for kind in (vectors(), fields(D4), fields(SO2))),
        *((FieldDropout, kind, 9) for kind in (vectors(D4), fields(C8), fields(SO2))),
    ],
    ids=str,
)
def test_layers_are_exact_on_the_grids_own_motions(layer, kind, size):
    built = layer(kind, size)
    assert error(same_draw(built.double()), kind, built.out_type, size) < EXACT
    out = built(noise(kind, size))
    assert out.shape == (IMAGES, built.out_type.size, built.out_size, built.out_size)


@pytest.mark.parametrize(
    ("layer", "kind", "size"),
    [
        (controls.MaxPoolEverywhere(3, 2), scalar_fields(SO2, 3), 32),  # windows off the centre
        (controls.MaxPoolEverywhere(3, 3), vectors(), 33),  # components of vectors
        (controls.ElementwiseDropout(0.3), fields(D4), 9),
        (FibreDropout(fields(D4), 9, 0.3), fields(D4), 9),
        (controls.NaiveStride(2), fields(D4), 12),
        (controls.AnisotropicBlur(13).double(), fields(D4), 13),
    ],
    ids=str,
)
def test_controls_fail(layer, kind, size):
    assert error(same_draw(layer), kind, kind, size) > 0.1


def test_the_largest_channel_of_vectors_fails():
    assert error(controls.MaxOverChannels(), vectors(), scalar_fields(SO2, 1), 9) > 0.1


@pytest.mark.parametrize("kind", [fields(D4), vectors(D4), fields(SO2)], ids=str)
def test_a_fibre_mask_commutes_with_the_fibre(kind):
    h = noise(kind, 9)
    group = kind.gspace.fibergroup
    element = [e for e in group.testing_elements()][3]
    rho = torch.as_tensor(kind.representation(element), dtype=torch.float64)
    turned = torch.einsum("ij,bjhw->bihw", rho, h)
    for layer, keeps in (
        (FibreDropout(kind, 9, 0.4), True),
        (FieldDropout(kind, 9, 0.4), True),
        (controls.ElementwiseDropout(0.4), False),
    ):
        f = same_draw(layer)
        found = relative_error(f(turned), torch.einsum("ij,bjhw->bihw", rho, f(h)))
        assert found < EXACT if keeps else found > 0.1


@pytest.mark.parametrize("layer", [FieldDropout, FibreDropout])
def test_dropout_keeps_the_mean_and_rests_in_eval(layer):
    h = torch.ones(400, 16, 5, 5, dtype=torch.float64)
    part = layer(fields(C8), 5, 0.25)
    out = part(h)
    assert set(out.unique().tolist()) == {0.0, 1 / 0.75}
    assert abs(out.mean() - 1) < 4 * (0.25 / 0.75 / 800) ** 0.5  # 800 draws of the coarser kind
    assert torch.equal(part.eval()(h), h) and torch.equal(layer(fields(C8), 5, 0)(h), h)
    fibres = out.unflatten(1, (2, 8))
    assert torch.equal(fibres, fibres[:, :, :1].expand_as(fibres))
    one_for_all = (out == out[..., :1, :1]).all()
    assert one_for_all == (layer is FieldDropout)


def test_pooling_takes_the_longest_vector():
    h = torch.zeros(1, 4, 3, 3, dtype=torch.float64)
    h[0, :2, 0, 1] = torch.tensor([-3.0, -4.0], dtype=torch.float64)
    h[0, :2, 2, 2] = torch.tensor([4.0, 2.0], dtype=torch.float64)
    h[0, 2:, 1, 1] = torch.tensor([0.0, -1.0], dtype=torch.float64)
    pooled = NormMaxPool(vectors(), 3)(h)
    assert pooled.flatten().tolist() == [-3.0, -4.0, 0.0, -1.0]


def test_orientations_lose_the_pose_and_keep_the_place():
    """Turning the fibre alone, which turns what is seen at each position, changes nothing any more."""
    kind = fields(C8)
    h = noise(kind, 9)
    turned = h.unflatten(1, (-1, 8)).roll(1, 2).flatten(1, 2)
    assert relative_error(turned, h) > 1
    for layer in (MaxOverOrientations, MeanOverOrientations, NormOverOrientations):
        torch.testing.assert_close(layer(kind, 9)(turned), layer(kind, 9)(h))
    kept = MaxPool(kind, 9)
    expected = kept(h).unflatten(1, (-1, 8)).roll(1, 2).flatten(1, 2)
    assert torch.equal(kept(turned), expected)


def test_vectors_of_length_zero_have_a_gradient():
    h = torch.zeros(1, 4, 3, 3, requires_grad=True)
    for layer in (NormMaxPool, NormOverOrientations):
        assert torch.autograd.grad(layer(vectors(), 3)(h).sum(), h)[0].isfinite().all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: MaxPool(fields(C8), 32, 3, 2),
            "leave 1 of 32 pixels over.*Use a size of 31 or 33",
        ),
        (lambda: NormMaxPool(vectors(), 16, 3), "leave 1 of 16.*Use a size of 15 or 18"),
        (lambda: MaxPool(fields(SO2), 33), "values that the group permutes.*Use NormMaxPool"),
        (lambda: MaxOverOrientations(vectors(), 9), "permutes.*Use NormOverOrientations"),
        (lambda: MeanOverOrientations(vectors(), 9), "with a mean to keep"),
        (lambda: NormMaxPool(vectors() + scalar_fields(SO2, 1), 9), r"sizes \[1, 2\]"),
        (lambda: MaxPool(fields(C8), 9, 11), "window must be at most the 9 pixels.*got 11"),
        (lambda: MaxPool(fields(C8), 9, 0), "window must be a whole number of pixels >= 1; got 0"),
        (lambda: MaxPool(fields(C8), 9, 3, 3, 2), "padding must be at most half.*Use 1"),
        (lambda: FieldDropout(fields(C8), 9, 1.0), "rate must be a probability.*got 1.0"),
        (lambda: FibreDropout(fields(C8), 9, float("nan")), "rate must be.*got nan"),
        (lambda: GaussianDownsample(fields(C8), 9, 0), "stride must be a whole.*got 0"),
        (lambda: GaussianDownsample(fields(C8), 9, 9), "leave at least 2 points of 9; got 9"),
        (lambda: GaussianDownsample(fields(C8), 9, 2, 0.0), "sigma must be.*Leave it out for 1.5"),
    ],
)
def test_what_breaks_the_symmetry_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
