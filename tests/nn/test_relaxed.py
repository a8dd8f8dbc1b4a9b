"""Relaxed layers: equivariant at the start, not once their residual is there, and it says how far."""

import copy

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.models.vae import VAE
from eqvae.nn import (
    BiasedFibreLinear,
    HarmonicDecoder,
    HarmonicEncoder,
    RelaxedFibreLinear,
    RelaxedHarmonicDecoder,
    RelaxedHarmonicEncoder,
)
from eqvae.nn.fibre import FibreAction, FibreLinear
from eqvae.nn.relaxed import PositionResidual
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes, latent_error, relative_error
from tests.cases import BY_NAME, basis, draw

LAYERS = pytest.mark.parametrize("linear", [RelaxedFibreLinear, BiasedFibreLinear])
GROUPS = pytest.mark.parametrize("symmetry", [PlaneMotions.so2(), PlaneMotions.o2()], **BY_NAME)
LATENT, SIZE = Representation((4, 2, 1)), 41
ACT = FibreAction()


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def perturb(module: torch.nn.Module, size: float = 5.0) -> None:
    for layer in module.modules():
        if isinstance(layer, RelaxedFibreLinear):
            torch.nn.init.normal_(layer.up, std=size)
        if isinstance(layer, BiasedFibreLinear):
            torch.nn.init.normal_(layer.direction, std=size)


def relaxed(linear: type = RelaxedFibreLinear) -> VAE:
    shared = basis(SIZE, degree=8, radius=10.6), LATENT, PlaneMotions.so2()
    size = {"hidden": 8, "frequency": 3, "linear": linear}
    torch.manual_seed(0)
    encoder = HarmonicEncoder(*shared, **size)
    decoder = HarmonicDecoder(*shared, **size, out_frequency=6)
    parts = RelaxedHarmonicEncoder(encoder), RelaxedHarmonicDecoder(decoder)
    return VAE(*parts, GaussianPrior(LATENT), GaussianLikelihood())


@torch.no_grad()
def errors(vae: VAE, g: torch.Tensor) -> tuple[float, float]:
    """Of the encoder's means and of the decoder, the latter at rendered points."""
    scenes, z = GaussianScenes(6, size=SIZE), torch.randn(6, LATENT.dim)
    still, moved = vae.encode(Batch(scenes.render())).act(g), vae.encode(Batch(scenes.render(g)))
    points = torch.randn(6, 50, 2) * 4
    moved_images = vae.decoder.render(LATENT.act(g, z), apply(g, points))
    decoder = relative_error(moved_images, vae.decoder.render(z, points))
    return latent_error(LATENT, moved.loc, still.loc), decoder


@LAYERS
@GROUPS
def test_a_layer_is_equivariant_until_its_residual_is_there(symmetry, linear):
    layer, h, g = linear(4, 5, 3, symmetry), torch.randn(7, 4, 8), draw(symmetry, 8)
    torch.testing.assert_close(layer(ACT(g, h)), ACT(g, layer(h)), rtol=1e-12, atol=1e-12)
    assert layer.residual() == 0
    perturb(layer)
    assert relative_error(layer(ACT(g, h)), ACT(g, layer(h))) > 0.1  # the control
    assert layer.residual() > 0


@GROUPS
def test_departure_and_size_are_the_squares_of_the_two_matrices(symmetry):
    layer = RelaxedFibreLinear(4, 5, 3, symmetry, rank=2)
    perturb(layer)
    unit = torch.eye(28).reshape(7, 4, 28)
    total, equivariant = (f(unit).flatten(0, 1) for f in (layer, layer.equivariant))
    torch.testing.assert_close(layer.residual(), (total - equivariant).square().sum())
    torch.testing.assert_close(layer.size(), equivariant.square().sum())
    assert torch.linalg.matrix_rank(total - equivariant) == 2
    assert layer.freedom == 2 * (28 + 35 - 2)
    assert layer.down.numel() + layer.up.numel() == 2 * 7 * (4 + 5)


@GROUPS
def test_a_bias_departs_by_its_square_and_breaks_by_how_far_it_turns(symmetry):
    layer, h, g = BiasedFibreLinear(4, 5, 3, symmetry), torch.randn(7, 4, 8), draw(symmetry, 8)
    perturb(layer)
    bias = (layer(h) - layer.equivariant(h))[..., :1]
    torch.testing.assert_close(layer.residual(), bias.square().sum())
    assert bias[0].abs().max() < 1e-12 and layer.freedom == layer.direction.numel() == 6 * 5
    still = bias.expand(-1, -1, 8)
    torch.testing.assert_close(layer(ACT(g, h)) - ACT(g, layer(h)), still - ACT(g, still))
    unit = torch.eye(28).reshape(7, 4, 28)
    torch.testing.assert_close(layer.size(), layer.equivariant(unit).square().sum())


@LAYERS
def test_networks_are_equivariant_at_the_start_and_then_not(linear):
    vae, g = relaxed(linear), draw(PlaneMotions.so2(), 6, shift=2.0)
    encoder, decoder = errors(vae, g)
    assert encoder < 2e-3 and decoder < 1e-3  # as the harmonic networks'
    perturb(vae)
    encoder, decoder = errors(vae, g)
    assert encoder > 0.05 and decoder > 0.05


@LAYERS
def test_residuals_alone_do_not_break_shifts_but_the_position_does(linear):
    vae, g = relaxed(linear), motion(shift=(2.0, -1.0)).expand(6, 4)
    perturb(vae)
    encoder, decoder = errors(vae, g)
    assert encoder < 2e-3 and decoder < 1e-12
    for part in (vae.encoder, vae.decoder):
        torch.nn.init.normal_(part.position.weight, std=10.0)
    encoder, decoder = errors(vae, g)
    assert encoder > 0.05 and decoder > 0.05


def test_a_position_says_how_far_it_departs():
    layer, h = PositionResidual(6), torch.randn(3, 6)
    assert layer.residual() == 0 and layer.size() == 6 and layer.freedom == 12
    torch.testing.assert_close(layer(h, torch.randn(3, 2)), h)
    torch.nn.init.ones_(layer.weight)
    torch.testing.assert_close(layer(h, torch.full((3, 2), 50.0)), h + 2)
    assert layer.residual() == 12


def test_rendering_on_the_pixels_is_decoding():
    vae, z = relaxed(), torch.randn(2, LATENT.dim)
    torch.nn.init.normal_(vae.decoder.position.weight)
    points = vae.encoder.harmonic.localiser.points  # every other pixel, from the first
    drawn = vae.decoder.render(z, points.reshape(1, -1, 2).expand(2, -1, -1))
    torch.testing.assert_close(drawn.unflatten(2, points.shape[:2]), vae.decoder(z)[..., ::2, ::2])


@LAYERS
def test_gradient_reaches_every_parameter(linear):
    vae = relaxed(linear)
    perturb(vae)  # a factor of zero gives the other no gradient
    torch.nn.init.ones_(vae.encoder.harmonic.split.gain)
    (-vae.score(Batch(GaussianScenes(6, size=SIZE).render())).elbo.mean()).backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_weights_give_equal_output():
    vae, other, x = relaxed(), relaxed(), GaussianScenes(6, size=SIZE).render()
    perturb(vae)
    assert not torch.equal(vae.encode(Batch(x)).mode, other.encode(Batch(x)).mode)
    other.load_state_dict(copy.deepcopy(vae.state_dict()))
    assert torch.equal(
        vae.score(Batch(x), sample=False).elbo, other.score(Batch(x), sample=False).elbo
    )


def test_layers_are_named_for_the_layer_table():
    vae = relaxed()
    modules = dict(vae.encoder.named_modules())
    actions = vae.encoder.layer_actions
    assert all(name in modules for name in actions)
    kinds = {type(modules[name]) for name in actions}
    assert RelaxedFibreLinear in kinds and FibreLinear not in kinds


def test_rank_is_checked():
    with pytest.raises(ValueError, match="rank of a residual must be >= 1; got 0"):
        RelaxedFibreLinear(2, 3, 1, PlaneMotions.so2(), rank=0)
    assert RelaxedFibreLinear(2, 3, 0, PlaneMotions.so2(), rank=8).down.shape == (2, 2)
