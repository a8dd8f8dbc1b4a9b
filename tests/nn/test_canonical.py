"""Canonicalised networks move with scenes up to interpolation, whatever the plain network inside does."""

import copy

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.models.vae import VAE
from eqvae.nn import (
    CanonicalDecoder,
    CanonicalEncoder,
    Canonicaliser,
    CentreOfMass,
    Localiser,
    PlainDecoder,
    PlainEncoder,
)
from eqvae.symmetry import PlaneMotions, Representation, compose, motion
from eqvae.symmetry.motions import linear_part
from eqvae.testing import (
    GaussianScenes,
    assert_equivariant,
    latent_error,
    quarter_turns,
    relative_error,
)
from tests.cases import basis, draw, move

LATENT, SIZE = Representation((4, 2, 1)), 40
GRID = SquareGrid(SIZE)
# What interpolation costs: of |v| for the encoder, of |D(z)| on smooth images for the decoder
BOUNDS = {"bicubic": (0.1, 0.05), "fourier": (5e-3, 1e-3)}
RESAMPLED = pytest.mark.parametrize("interpolation", BOUNDS)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def canonical(interpolation: str = "fourier") -> VAE:
    torch.manual_seed(0)
    encoder = PlainEncoder(GRID, 1, LATENT, PlaneMotions.so2(), width=8)
    decoder = PlainDecoder(GRID, 1, LATENT, width=8)
    return VAE(
        CanonicalEncoder(Canonicaliser(basis(SIZE)), encoder, interpolation),
        CanonicalDecoder(decoder, interpolation),
        GaussianPrior(LATENT),
        GaussianLikelihood(),
    )


def encoder_error(encoder: torch.nn.Module) -> float:
    scenes, g = GaussianScenes(6, size=SIZE), draw(PlaneMotions.so2(), 6, shift=2.0)
    with torch.no_grad():
        still, moved = encoder(scenes.render()).act(g), encoder(scenes.render(g))
    return latent_error(LATENT, moved.loc, still.loc)


def decoder_error(decoder: torch.nn.Module, z: Tensor) -> float:
    g = draw(PlaneMotions.so2(), len(z), shift=2.0)
    with torch.no_grad():
        return relative_error(decoder(LATENT.act(g, z)), move(g, decoder(z), "fourier"))


class Blurred(torch.nn.Module):
    """A plain decoder whose images are smooth and black outside."""

    def __init__(self, decoder: torch.nn.Module):
        super().__init__()
        self.decoder, self.representation, self.symmetry = decoder, LATENT, decoder.symmetry
        self.domain = decoder.domain
        axis = torch.arange(SIZE) - (SIZE - 1) / 2
        bell = (-(axis**2) / 40).exp()
        self.window = bell[:, None] * bell
        blur = (-((axis[:, None] - axis) ** 2) / 8).exp()
        self.blur = blur / blur.sum(dim=1, keepdim=True)

    def forward(self, z: Tensor) -> Tensor:
        return self.blur @ (self.window * self.decoder(z)) @ self.blur.T


@pytest.mark.parametrize("localiser", [Localiser, CentreOfMass])
def test_canonicalisers_move_with_scenes(localiser):
    torch.manual_seed(0)
    canonicaliser, scenes = (
        Canonicaliser(basis(SIZE), localiser(GRID)),
        GaussianScenes(6, size=SIZE),
    )
    g = draw(PlaneMotions.so2(), 6, shift=2.0)
    with torch.no_grad():
        expected, moved = (
            compose(g, canonicaliser(scenes.render())),
            canonicaliser(scenes.render(g)),
        )
    torch.testing.assert_close(linear_part(moved), linear_part(expected), rtol=0, atol=1e-2)
    torch.testing.assert_close(moved[:, 2:], expected[:, 2:], rtol=0, atol=1e-2)


@RESAMPLED
def test_the_encoder_moves_with_scenes_and_a_plain_one_does_not(interpolation):
    vae, bound = canonical(interpolation), BOUNDS[interpolation][0]
    assert encoder_error(vae.encoder) < bound
    assert encoder_error(vae.encoder.encoder) > 5 * bound


@RESAMPLED
def test_the_decoder_moves_with_its_latents_and_a_plain_one_does_not(interpolation):
    plain, z = Blurred(canonical().decoder.decoder), torch.randn(6, LATENT.dim)
    bound = BOUNDS[interpolation][1]
    assert decoder_error(CanonicalDecoder(plain, interpolation), z) < bound
    assert decoder_error(plain, z) > 10 * bound


@RESAMPLED
def test_quarter_turns_are_exact(interpolation):
    vae, noise = canonical(interpolation), torch.rand(3, 1, SIZE, SIZE)
    laws = {"act_in": move, "act_out": LATENT.act, "rtol": 1e-5}
    assert_equivariant(lambda x: vae.encode(Batch(x)).loc, noise, quarter_turns(), **laws)
    z = torch.randn(3, LATENT.dim)
    z[:, :2] = 0  # the window turns about its centre: what leaves it is lost
    laws = {"act_in": LATENT.act, "act_out": move, "rtol": 1e-5}
    if (
        interpolation == "bicubic"
    ):  # three shears are no exact function of the angle on white images
        assert_equivariant(vae.decoder, z, quarter_turns(), **laws)


@RESAMPLED
def test_gradient_reaches_every_parameter(interpolation):
    vae = canonical(interpolation)
    (-vae.score(Batch(GaussianScenes(6, size=SIZE).render())).elbo.mean()).backward()
    unused = ("mlp.head.invariant", "mlp.head.bias")  # the canonicaliser's output has no invariants
    for name, parameter in vae.named_parameters():
        reached = parameter.grad is not None and parameter.grad.abs().sum() > 0
        assert reached != name.endswith(unused), name


def test_the_gradient_to_the_pose_is_a_derivative():
    """move passes it: against a difference of motions."""
    x, w = GaussianScenes(2, size=SIZE).render(), torch.randn(2, 1, SIZE, SIZE)
    g = motion(angle=torch.tensor([0.3, 1.1]), shift=(0.4, -0.7)).requires_grad_()
    for interpolation in ("bicubic", "fourier"):

        def f(g: Tensor, interpolation: str = interpolation) -> Tensor:
            return (w * move(g, x, interpolation)).sum()

        (slope,) = torch.autograd.grad(f(g), g)
        for column in (1, 2, 3):
            step = torch.zeros(2, 4)
            step[:, column] = 1e-5
            expected = (f(g + step) - f(g - step)) / 2e-5
            torch.testing.assert_close(slope[:, column].sum(), expected, rtol=1e-4, atol=1e-4)


def test_saved_weights_give_equal_output():
    vae, x = canonical(), GaussianScenes(6, size=SIZE).render()
    torch.manual_seed(1)
    other = canonical()
    for parameter in other.parameters():
        parameter.data.add_(0.01)
    assert not torch.equal(vae.encode(Batch(x)).mode, other.encode(Batch(x)).mode)
    other.load_state_dict(copy.deepcopy(vae.state_dict()))
    assert torch.equal(
        vae.score(Batch(x), sample=False).elbo, other.score(Batch(x), sample=False).elbo
    )


def test_what_it_cannot_treat_is_refused():
    with pytest.raises(ValueError, match=r"symmetry must have no mirrors .* got O\(2\)"):
        CanonicalEncoder(
            Canonicaliser(basis(SIZE)), PlainEncoder(GRID, 1, LATENT, PlaneMotions.o2())
        )
    content = Representation((4,))
    with pytest.raises(ValueError, match="must carry a position and a psi_1"):
        CanonicalDecoder(PlainDecoder(GRID, 1, content))
