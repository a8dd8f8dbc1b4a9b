"""Laws of the harmonic family at every angle and sub-pixel shift, before and after training steps."""

import copy
import math
from functools import cache, partial

import pytest
import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions import START_LOG_SCALE, GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid, pixel_coordinates
from eqvae.models.vae import VAE
from eqvae.nn import CentreOfMass, HarmonicDecoder, HarmonicEncoder, PlainDecoder, PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation, inverse, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import (
    GaussianScenes,
    assert_equivariant,
    latent_error,
    quarter_turns,
    relative_error,
)
from tests.cases import BY_NAME, basis, draw, move

SIZE = 50
LATENT = Representation((6, 4, 3, 2))
GROUPS = pytest.mark.parametrize("symmetry", [PlaneMotions.so2(), PlaneMotions.o2()], **BY_NAME)
CHANNELS = pytest.mark.parametrize("channels", [1, 3])
TRAINED = pytest.mark.parametrize("steps", [0, 8], ids=["new", "trained"])
# Where an error comes from: the basis' highest functions (2.95 rad/px) meet the grid's band limit
# (3.14), the localiser's heat map is sampled at every other pixel, SiLU aliases.
ENCODER_BOUND, SCALE_BOUND = 2e-3, 5e-3  # of |v|; absolute, in log-scales
DECODER_BOUND = 1e-3  # of |D(z)|: aliasing of SiLU alone


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@cache
def scenes(channels: int = 1) -> GaussianScenes:
    return GaussianScenes(6, seed=0, size=SIZE, channels=channels, dtype=torch.float64)


def harmonic(symmetry: PlaneMotions, channels: int = 1, steps: int = 0) -> VAE:
    torch.manual_seed(0)
    encoder = HarmonicEncoder(basis(SIZE, channels), LATENT, symmetry, hidden=16)
    decoder = HarmonicDecoder(basis(SIZE, channels), LATENT, symmetry, hidden=16)
    return trained(
        VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood()), channels, steps
    )


def plain(symmetry: PlaneMotions) -> VAE:
    torch.manual_seed(0)
    encoder = PlainEncoder(SquareGrid(SIZE), 1, LATENT, symmetry, width=8)
    decoder = PlainDecoder(SquareGrid(SIZE), 1, LATENT, width=8)
    return trained(VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood()), 1, 0)


def trained(vae: VAE, channels: int, steps: int) -> VAE:
    """A few steps on the scenes as they are: one pose each, so nothing but the network is equivariant."""
    optimizer, x = torch.optim.Adam(vae.parameters(), lr=3e-3), scenes(channels).render()
    for _ in range(steps):
        optimizer.zero_grad()
        (-vae.score(Batch(x)).elbo.mean()).backward()
        optimizer.step()
    return vae.eval()


@torch.no_grad()
def encoder_error(vae: VAE, scene: GaussianScenes, motions: Tensor) -> tuple[float, float]:
    """Worst relative error of the means and worst difference of the log-scales."""
    still, means, scales = vae.encode(Batch(scene.render())), [], []
    for g in motions:
        q = vae.encode(Batch(scene.render(g[None])))
        expected = still.act(g.expand(len(scene), 4))
        means.append(latent_error(LATENT, q.loc, expected.loc))
        scales.append((q.log_scale - expected.log_scale).abs().max().item())
    return max(means), max(scales)


@torch.no_grad()
def decoder_error(vae: VAE, z: Tensor, motions: Tensor) -> float:
    """D(g z) against the functions of D(z), drawn on the grid moved the other way."""
    grid, errors = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(len(z), -1, -1), []
    for g in motions:
        g = g.expand(len(z), 4)
        expected = vae.decoder.render(z, apply(inverse(g), grid))
        errors.append(relative_error(vae.decoder(LATENT.act(g, z)).flatten(2), expected))
    return max(errors)


def latents(n: int = 6) -> Tensor:
    return torch.randn(n, LATENT.dim)


@TRAINED
@CHANNELS
@GROUPS
def test_the_encoder_moves_with_scenes(symmetry, channels, steps):
    vae = harmonic(symmetry, channels, steps)
    means, scales = encoder_error(vae, scenes(channels), draw(symmetry, 12, shift=2.0))
    assert means < ENCODER_BOUND
    assert scales < SCALE_BOUND


@TRAINED
@CHANNELS
@GROUPS
def test_the_decoder_moves_with_its_latents(symmetry, channels, steps):
    vae = harmonic(symmetry, channels, steps)
    assert decoder_error(vae, latents(), draw(symmetry, 12)) < DECODER_BOUND


@TRAINED
@GROUPS
def test_quarter_turns_are_exact_on_any_image(symmetry, steps):
    vae = harmonic(symmetry, 2, 0) if steps == 0 else harmonic(symmetry, 1, steps)
    channels = vae.decoder.channels
    turns = quarter_turns(reflections=symmetry.reflections)
    noise = torch.rand(3, channels, SIZE, SIZE)
    error = partial(latent_error, LATENT)
    laws = {"act_in": move, "act_out": LATENT.act, "rtol": 1e-5}
    assert_equivariant(lambda x: vae.encode(Batch(x)).loc, noise, turns, **laws, error=error)
    laws = {"act_in": LATENT.act, "act_out": move, "rtol": 1e-5}
    assert_equivariant(vae.decoder, latents(3), turns, **laws)


@GROUPS
def test_a_plain_encoder_fails_the_same_tests(symmetry):
    means, scales = encoder_error(plain(symmetry), scenes(), draw(symmetry, 4, shift=2.0))
    assert means > 50 * ENCODER_BOUND
    assert scales > SCALE_BOUND
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(
            plain(symmetry).decoder,
            latents(3),
            quarter_turns(),
            act_in=LATENT.act,
            act_out=move,
        )


def test_so2_networks_do_not_know_mirrors():
    """A control for O(2): the same networks without it fail under a mirror."""
    mirror = motion(reflection=1.0)
    assert encoder_error(harmonic(PlaneMotions.so2()), scenes(), mirror)[0] > 0.05
    assert decoder_error(harmonic(PlaneMotions.so2()), latents(), mirror) > 0.05


def elbo_changes(vae: VAE, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Mean |ELBO(g x) - ELBO(x)| at each turn, nats and relative; the noise turns with the object."""
    noise = torch.randn(6, LATENT.dim)
    still = vae.elbo(Batch(scenes().render()), noise)
    changes = []
    for g in turns:
        moved = vae.elbo(Batch(scenes().render(g[None])), LATENT.act(g.expand(6, 4), noise))
        changes.append((moved - still).abs().mean())
    return torch.stack(changes), torch.stack(changes) / still.abs().mean()


@TRAINED
@GROUPS
def test_the_elbo_does_not_change_under_rotations(symmetry, steps):
    vae = harmonic(symmetry, 1, steps)
    turns = draw(symmetry, 8, shift=0.0)
    _, fraction = elbo_changes(vae, turns)
    # a new decoder misses the image by far, so that each per mille of the latent's error costs more
    assert fraction.max() < (1e-3 if steps else 1e-2)
    nats, fraction = elbo_changes(plain(symmetry), turns)
    assert fraction.min() > 1e-3 and nats.min() > 0.5  # the control


def test_the_centre_of_mass_localises_as_well():
    torch.manual_seed(0)
    encoder = HarmonicEncoder(
        basis(SIZE), LATENT, localiser=CentreOfMass(SquareGrid(SIZE)), hidden=16
    )
    decoder = harmonic(PlaneMotions.so2()).decoder
    vae = VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood())
    motions = draw(PlaneMotions.so2(), 12, shift=2.0)
    assert encoder_error(vae, scenes(), motions)[0] < ENCODER_BOUND
    moved = vae.encode(Batch(scenes().render(motion(shift=(3.0, -1.5))))).mode[:, :2]
    expected = torch.tensor([3.0, -1.5]).expand(len(moved), 2)  # scenes are centred by mass
    torch.testing.assert_close(moved, expected, atol=1e-3, rtol=0)


@TRAINED
def test_the_position_correction_moves_too(steps):
    """It starts at zero; with a gain the position is no longer the localiser's alone."""
    vae = harmonic(PlaneMotions.so2(), 1, steps)
    vae.encoder.split.gain.data.fill_(3.0)
    vae.encoder.split.scale_gain.data.fill_(1.0)  # and each image has scales of its own
    with torch.no_grad():
        x = scenes().render()
        assert (vae.encode(Batch(x)).mode[:, :2] - vae.encoder.localiser(x)).abs().max() > 0.3
    assert (
        encoder_error(vae, scenes(), draw(PlaneMotions.so2(), 6, shift=2.0))[0] < 2 * ENCODER_BOUND
    )


def test_training_starts_from_equal_scales_and_a_faint_picture():
    vae, x = harmonic(PlaneMotions.so2()), scenes().render()
    posterior = vae.encode(Batch(x))
    assert (posterior.log_scale == START_LOG_SCALE).all()
    faint = vae.decode(posterior.mode).square().sum()
    assert 0 < faint < 0.05 * x.square().sum()


def test_rendering_on_the_pixels_is_decoding():
    vae, z = harmonic(PlaneMotions.so2(), 3), latents()
    pixels = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(len(z), -1, -1)
    images = vae.decoder(z)
    assert images.shape == (6, 3, SIZE, SIZE)
    torch.testing.assert_close(vae.decoder.render(z, pixels), images.flatten(2))


def test_channels_have_contents_of_their_own():
    images = harmonic(PlaneMotions.so2(), 3).decoder(latents())
    assert relative_error(images[:, 0], images[:, 1]) > 0.5


@CHANNELS
@GROUPS
def test_gradient_reaches_every_parameter(symmetry, channels):
    vae = harmonic(symmetry, channels)
    nn.init.ones_(vae.encoder.split.gain)  # starts at zero, where its own factor gets no gradient
    (-vae.score(Batch(scenes(channels).render())).elbo.mean()).backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_weights_give_equal_output():
    vae, other = harmonic(PlaneMotions.o2(), steps=2), harmonic(PlaneMotions.o2())
    x = scenes().render()
    assert not torch.equal(vae.encode(Batch(x)).mode, other.encode(Batch(x)).mode)
    other.load_state_dict(copy.deepcopy(vae.state_dict()))
    a, b = vae.score(Batch(x), sample=False), other.score(Batch(x), sample=False)
    assert torch.equal(a.reconstruction, b.reconstruction) and torch.equal(a.elbo, b.elbo)
    c = vae.train().score(Batch(x), sample=False)  # training mode is no different
    assert torch.equal(c.elbo, a.elbo)


@pytest.mark.parametrize("part", [HarmonicEncoder, HarmonicDecoder])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symmetry": PlaneMotions.cyclic(8)}, r"symmetry must be SO\(2\) or O\(2\) .* got C8"),
        (
            {"symmetry": PlaneMotions.trivial()},
            r"symmetry must be SO\(2\) or O\(2\) .* got trivial",
        ),
        ({"representation": Representation((4, 2), sign=1)}, "sign must be 0 .* got 1"),
        ({"representation": Representation((4,), position=False)}, "must carry a position"),
        (
            {"representation": Representation((4, 0, 0, 0, 0, 0, 1))},
            "frequency 6, above .* frequency=5",
        ),
        ({"depth": 1}, "depth must be >= 2"),
    ],
)
def test_refuses_what_it_cannot_treat(part, changes, message):
    settings = {
        "harmonics": basis(SIZE),
        "representation": LATENT,
        "symmetry": PlaneMotions.so2(),
    }
    with pytest.raises(ValueError, match=message):
        part(**(settings | changes))


@pytest.mark.parametrize("multiplicities", [(4,), (0, 2), (1, 0, 0, 2)])
def test_sparse_latents_are_served(multiplicities):
    latent = Representation(multiplicities)
    torch.manual_seed(0)
    encoder = HarmonicEncoder(basis(SIZE), latent, hidden=4)
    decoder = HarmonicDecoder(basis(SIZE), latent, hidden=4)
    q = encoder(scenes().render())
    assert q.loc.shape == (6, latent.dim) and q.log_scale.shape == (6, latent.num_copies)
    assert decoder(q.loc).shape == (6, 1, SIZE, SIZE)
    g = motion(angle=math.pi / 2).expand(6, 4)
    moved = encoder(scenes().render(g[:1])).loc
    assert latent_error(latent, moved, latent.act(g, q.loc)) < 1e-5


@CHANNELS
def test_the_ground_changes_nothing_but_the_ground(channels) -> None:
    """D_b(z) = D_0(z) + b and q_b(z | x + b) = q_0(z | x); the control is a ground that nobody told."""
    grey = [0.4] if channels == 1 else [0.4, 0.1, 0.7]
    b = torch.tensor(grey).view(-1, 1, 1)
    x = scenes(channels).render()
    parts = {}
    for name, known in (("without", [0.0]), ("with", grey)):
        torch.manual_seed(0)
        encoder = HarmonicEncoder(basis(SIZE, channels), LATENT, hidden=16, background=known)
        parts[name] = (
            encoder,
            HarmonicDecoder(basis(SIZE, channels), LATENT, hidden=16, background=known),
        )
    (encoder, decoder), (on_grey, draws_grey) = (
        [part.double() for part in pair] for pair in parts.values()
    )
    z = encoder(x).mode
    torch.testing.assert_close(on_grey(x + b).mode, z, atol=1e-6, rtol=0)
    torch.testing.assert_close(draws_grey(z), decoder(z) + b, atol=1e-6, rtol=0)
    points = torch.zeros(len(z), 1, 2)
    apart = draws_grey.render(z, points) - decoder.render(z, points)
    torch.testing.assert_close(apart, b[..., 0].expand_as(apart), atol=1e-6, rtol=0)
    assert (encoder(x + b).mode - z).abs().max() > 0.01
    with pytest.raises(ValueError, match="background must be a list of one number"):
        HarmonicEncoder(basis(SIZE, channels), LATENT, background=[0.1, 0.2])
