"""Relaxed symmetry by paths: equivariant while the free path is silent, not once it speaks."""

import copy

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.losses import dials
from eqvae.models.vae import VAE
from eqvae.nn import (
    HarmonicDecoder,
    HarmonicEncoder,
    PlainDecoder,
    PlainEncoder,
    RelaxedDecoder,
    RelaxedEncoder,
)
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.testing import GaussianScenes, latent_error, relative_error
from tests.cases import basis, draw, move

LATENT, SIZE = Representation((4, 2, 1)), 41


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def relaxed() -> VAE:
    shared, domain = (basis(SIZE, degree=8, radius=10.6), LATENT), SquareGrid(SIZE)
    torch.manual_seed(0)
    encoder = HarmonicEncoder(*shared, hidden=8, frequency=3)
    decoder = HarmonicDecoder(*shared, hidden=8, frequency=3, out_frequency=6)
    parts = (
        RelaxedEncoder(encoder, PlainEncoder(domain, 1, LATENT, width=8)),
        RelaxedDecoder(decoder, PlainDecoder(domain, 1, LATENT, width=8)),
    )
    return VAE(*parts, GaussianPrior(LATENT), GaussianLikelihood())


def speak(vae: VAE) -> None:
    for part in (vae.encoder, vae.decoder):
        torch.nn.init.normal_(part.free.network.last.weight, std=0.3)


@torch.no_grad()
def errors(vae: VAE) -> tuple[float, float]:
    """Of the encoder's means under motions and of the decoder under quarter turns."""
    g, quarter = draw(PlaneMotions.so2(), 6, shift=2.0), draw(PlaneMotions.cyclic(4), 6, shift=0.0)
    scenes, z = GaussianScenes(6, size=SIZE), torch.randn(6, LATENT.dim)
    still, moved = vae.encode(Batch(scenes.render())).act(g), vae.encode(Batch(scenes.render(g)))
    turned = vae.decode(LATENT.act(quarter, z))
    decoder = relative_error(turned, move(quarter, vae.decode(z)))
    return latent_error(LATENT, moved.loc, still.loc), decoder


def test_networks_are_equivariant_until_the_free_paths_speak():
    vae = relaxed()
    encoder, decoder = errors(vae)
    assert encoder < 2e-3 and decoder < 1e-12  # as the harmonic networks'
    speak(vae)
    encoder, decoder = errors(vae)
    assert encoder > 0.05 and decoder > 0.05  # the control


def test_the_sum_of_the_paths_is_what_it_says():
    vae, x, z = relaxed(), GaussianScenes(3, size=SIZE).render(), torch.randn(3, LATENT.dim)
    speak(vae)
    e, d = vae.encoder, vae.decoder
    hard, free = e.encoder(x), e.free.network(x)
    torch.testing.assert_close(vae.encode(Batch(x)).loc, hard.loc + free.loc)
    torch.testing.assert_close(vae.encode(Batch(x)).log_scale, hard.log_scale + free.log_scale)
    torch.testing.assert_close(vae.decode(z), d.decoder(z) + d.free.network(z))


def test_each_path_has_a_dial():
    vae = relaxed()
    assert {n: v for n, v in dials(vae).items() if n.endswith("residual")} == {
        "encoder.free/residual": 0.0,
        "decoder.free/residual": 0.0,
    }
    last = vae.encoder.free.network.last
    torch.nn.init.constant_(last.weight, 0.1)
    assert vae.encoder.free.freedom == last.weight.numel() + last.bias.numel()
    expected = 0.3 * 0.1 * last.in_features**0.5
    assert dials(vae)["encoder.free/residual"] == pytest.approx(expected)


def test_gradient_reaches_every_parameter_once_the_paths_speak():
    vae = relaxed()
    speak(vae)
    torch.nn.init.ones_(vae.encoder.encoder.split.gain)
    (-vae.score(Batch(GaussianScenes(6, size=SIZE).render())).elbo.mean()).backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_and_copied_weights_give_equal_output():
    vae, other, x = relaxed(), relaxed(), GaussianScenes(6, size=SIZE).render()
    speak(vae)
    assert not torch.equal(vae.encode(Batch(x)).mode, other.encode(Batch(x)).mode)
    other.load_state_dict(copy.deepcopy(vae.state_dict()))
    for twin in (other, copy.deepcopy(vae)):
        assert torch.equal(
            vae.score(Batch(x), sample=False).elbo, twin.score(Batch(x), sample=False).elbo
        )


def test_louder_features_and_biases_do_not_escape_the_dial():
    vae, x = relaxed(), GaussianScenes(3, size=SIZE).render()
    speak(vae)
    before, dial = vae.encode(Batch(x)).loc, dials(vae)["encoder.free/residual"]
    with torch.no_grad():
        vae.encoder.free.network.trunk[-2].weight *= 1000
        vae.encoder.free.network.trunk[-2].bias *= 1000
    torch.testing.assert_close(vae.encode(Batch(x)).loc, before, rtol=1e-4, atol=1e-4)
    assert dials(vae)["encoder.free/residual"] == dial
    torch.nn.init.ones_(vae.encoder.free.network.last.bias)
    assert dials(vae)["encoder.free/residual"] > dial
