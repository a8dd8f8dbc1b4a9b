"""The plain reference: an ordinary VAE that obeys no law, and must be seen not to."""

import math
from functools import partial

import pytest
import torch

from eqvae.domains import SquareGrid
from eqvae.nn.plain import PlainDecoder, PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.testing import GaussianScenes, assert_equivariant, latent_error, quarter_turns
from tests.cases import move

LATENT = Representation((16, 8, 6, 4))


@pytest.fixture(scope="module")
def parts() -> tuple[PlainEncoder, PlainDecoder]:
    torch.manual_seed(0)
    encoder, decoder = (part(SquareGrid(50), 1, LATENT) for part in (PlainEncoder, PlainDecoder))
    return encoder.double(), decoder.double()


def test_has_the_size_of_the_published_reference(parts):
    assert sum(p.numel() for part in parts for p in part.parameters()) == pytest.approx(
        6e5, rel=0.1
    )


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (28, 3), (33, 1), (50, 1)])
def test_shapes(size, channels):
    encoder = PlainEncoder(SquareGrid(size), channels, LATENT, width=8)
    decoder = PlainDecoder(SquareGrid(size), channels, LATENT, width=8)
    posterior = encoder(torch.rand(2, channels, size, size))
    assert posterior.loc.shape == (2, LATENT.dim)
    assert posterior.log_scale.shape == (2, LATENT.num_copies)
    assert decoder(posterior.loc).shape == (2, channels, size, size)


def test_encoder_breaks_the_law_even_at_quarter_turns(parts):
    """The control for every test of a hard family."""
    x = GaussianScenes(4, size=50, dtype=torch.float64).render()
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(
            lambda x: parts[0](x).loc,
            x,
            quarter_turns()[1:],
            act_in=move,
            act_out=LATENT.act,
            rtol=0.1,
            error=partial(latent_error, LATENT),
        )


def test_decoder_breaks_the_law_even_at_quarter_turns(parts):
    z = torch.randn(4, LATENT.dim, dtype=torch.float64)
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(
            parts[1],
            z,
            quarter_turns()[1:],
            act_in=LATENT.act,
            act_out=move,
            rtol=0.1,
        )


def test_position_starts_within_the_image(parts):
    x = GaussianScenes(16, size=50, dtype=torch.float64).render(motion(shift=(6.0, -4.0)))
    assert parts[0](x).loc[:, :2].abs().max() < 25


def test_posterior_starts_narrow(parts):
    x = GaussianScenes(16, size=50, dtype=torch.float64).render(motion(shift=(6.0, -4.0)))
    assert parts[0](x).log_scale.mean().exp().item() == pytest.approx(math.exp(-2), rel=0.2)


def test_gradient_reaches_every_parameter(parts):
    encoder, decoder = parts
    posterior = encoder(GaussianScenes(4, size=50, dtype=torch.float64).render())
    (decoder(posterior.rsample()).square().sum() + posterior.log_scale.sum()).backward()
    for part in parts:
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_weights_give_the_same_output(parts):
    x = GaussianScenes(2, size=50, dtype=torch.float64).render()
    other = PlainEncoder(SquareGrid(50), 1, LATENT, PlaneMotions.so2()).double()
    other.load_state_dict(parts[0].state_dict())
    assert torch.equal(other.eval()(x).loc, parts[0].train()(x).loc)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"domain": SquareGrid(12)}, "domain must have a size of at least 16 .* got 12"),
        ({"channels": 0}, "channels must be a whole number >= 1; got 0"),
        ({"width": 0}, "width must be a whole number >= 1; got 0"),
    ],
)
@pytest.mark.parametrize("part", [PlainEncoder, PlainDecoder])
def test_refuses_what_it_cannot_build(part, changes, message):
    settings = {"domain": SquareGrid(32), "channels": 1, "representation": LATENT, "width": 8}
    with pytest.raises(ValueError, match=message):
        part(**(settings | changes))
