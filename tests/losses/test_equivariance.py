"""Soft symmetry: zero for what moves exactly, positive for what does not, and a way to learn from it."""

from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianPosterior
from eqvae.domains import pixel_coordinates
from eqvae.losses import DecoderPenalty, EncoderPenalty, PosteriorPenalty, RoundTripPenalty
from eqvae.losses.equivariance import jeffreys
from eqvae.models.vae import VAE
from eqvae.symmetry import PlaneMotions
from eqvae.testing import GaussianScenes
from tests.cases import LATENTS
from tests.losses.models import LATENT, SIZE, vae
from tests.toys import toy_vae

# Zero means: less than this part of what a plain network has. Images are moved by Fourier
# interpolation here; the harmonic encoder errs by up to 1e-3 of its latents, squared 1e-6.
ZERO = {EncoderPenalty: 1e-3, PosteriorPenalty: 1e-3, DecoderPenalty: 1e-3}


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


@cache
def scenes() -> Tensor:
    return GaussianScenes(6, seed=0, size=SIZE, dtype=torch.float64).render()


def value(kind: type, model: VAE, shift: float = 2.0, grey: float = 0.0) -> Tensor:
    torch.manual_seed(1)
    penalty, batch = (
        kind(PlaneMotions.so2(), shift, interpolation="fourier"),
        Batch(scenes() + grey),
    )
    return penalty(model, batch, model.score(batch))


@pytest.mark.parametrize("kind", ZERO)
@pytest.mark.parametrize("family", ["toy", "harmonic"])
def test_what_moves_exactly_pays_nothing(family, kind):
    plain = value(kind, vae("plain"))
    assert plain > 0
    assert 0 <= value(kind, vae(family)) < ZERO[kind] * plain


@pytest.mark.parametrize("kind", ZERO)
def test_a_bright_ground_costs_what_a_black_one_costs(kind):
    """The control: a domain that does not know the ground moves black corners into the images."""
    model = vae("harmonic", grey=0.4)
    black, bright = value(kind, vae("harmonic")), value(kind, model, grey=0.4)
    torch.testing.assert_close(bright, black, rtol=1e-4, atol=1e-9)
    model.decoder.domain = model.domain.black
    control = value(kind, model, grey=0.4)
    assert control > 20 * bright or kind is DecoderPenalty  # which looks at the disc alone


def test_the_round_trip_pays_for_the_reconstruction_too():
    """|D(g z) - g x|^2 = |D(z) - x|^2 for an exact model: no less than what the mode leaves."""
    model = vae("toy")
    with torch.no_grad():
        output = model.score(Batch(scenes()), sample=False)
        error = (output.reconstruction - scenes()).square().flatten(1).sum(dim=1).mean()
        penalty = RoundTripPenalty(PlaneMotions.so2(), 1.0, "fourier")(
            model, Batch(scenes()), output
        )
    torch.testing.assert_close(penalty, error, rtol=1e-3, atol=0)  # tails beyond the disc


def test_image_terms_look_at_the_inscribed_disc():
    """What every rotation keeps; the corners may hold anything."""
    model, x = toy_vae(SIZE), torch.rand(2, 1, SIZE, SIZE)
    output = model.score(Batch(x), sample=False)
    penalty = RoundTripPenalty(PlaneMotions.trivial(), shift=0.0)
    points = pixel_coordinates(SIZE, SIZE)
    inside = points.norm(dim=-1) <= SIZE / 2
    expected = (output.reconstruction - x).square()[..., inside].sum() / 2
    torch.testing.assert_close(penalty(model, Batch(x), output), expected)


@pytest.mark.parametrize(
    ("kind", "encoder", "decoder"),
    [
        (EncoderPenalty, True, False),
        (PosteriorPenalty, True, False),
        (DecoderPenalty, True, True),  # the encoder through the draw z
        (RoundTripPenalty, True, True),
    ],
)
def test_gradients_reach_the_parts_concerned(kind, encoder, decoder):
    model = vae("plain")
    value(kind, model).backward()
    for part, concerned in ((model.encoder, encoder), (model.decoder, decoder)):
        for name, parameter in part.named_parameters():
            reached = parameter.grad is not None and parameter.grad.abs().sum() > 0
            assert reached == concerned, name


@pytest.mark.parametrize(
    "kind", [EncoderPenalty, PosteriorPenalty, DecoderPenalty, RoundTripPenalty]
)
def test_descent_makes_a_biased_model_exact(kind):
    """The toy's bias is the only thing wrong with it, so every penalty must drive it to zero."""
    model = toy_vae(SIZE, bias=0.7)
    biases = [model.encoder.bias, model.decoder.bias]
    before = value(kind, model)
    optimizer = torch.optim.Adam(biases, lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        value(kind, model).backward()
        optimizer.step()
    assert value(kind, model) < before
    wrong = {DecoderPenalty: biases[1], RoundTripPenalty: sum(biases)}.get(kind, biases[0])
    assert abs(wrong) < 0.3 * 0.7


def test_the_encoder_term_does_not_depend_on_the_size_of_the_latent():
    values = []
    for factor in (1.0, 0.2, 5.0):
        model = vae("plain")
        model.encoder.head.weight.data[: LATENT.dim] *= 20 * factor
        model.encoder.head.bias.data[: LATENT.dim] *= 20 * factor
        values.append(value(EncoderPenalty, model, shift=0.0))
    assert values[0] > 0.1
    torch.testing.assert_close(values[1:], values[:1] * 2, rtol=1e-3, atol=0)


def test_neither_a_small_latent_nor_a_constant_in_it_is_a_way_out():
    """The slope along the size of all means is 0, and so along a constant in the invariants."""
    model = vae("plain")
    head = model.encoder.head
    invariants = next(block.slice for block in LATENT.blocks if block.name == "psi0")
    head.weight.data[: LATENT.dim] *= 20
    value(EncoderPenalty, model, shift=0.0).backward()
    along = [(p.grad[: LATENT.dim] * p[: LATENT.dim]) for p in (head.weight, head.bias)]
    steepest = sum(a.abs().sum() for a in along)
    assert abs(sum(a.sum() for a in along)) < 1e-4 * steepest
    assert head.bias.grad[invariants].abs().max() < 1e-4 * head.weight.grad.abs().max()


def test_a_latent_that_is_zero_gives_numbers():
    model = vae("plain")
    model.encoder.head.weight.data.zero_()
    model.encoder.head.bias.data.zero_()
    for kind in (EncoderPenalty, PosteriorPenalty):
        assert value(kind, model, shift=0.0) == 0
        loss = value(kind, model)
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in model.encoder.parameters())


@pytest.mark.parametrize("latent", LATENTS[:2])
def test_jeffreys_is_the_sum_of_both_divergences(latent):
    def posterior() -> GaussianPosterior:
        return GaussianPosterior(
            latent, torch.randn(5, latent.dim), torch.randn(5, latent.num_copies)
        )

    p, q = posterior(), posterior()
    a, b = (torch.distributions.Normal(d.loc, d.scale) for d in (p, q))
    kl = torch.distributions.kl_divergence
    torch.testing.assert_close(jeffreys(p, q), (kl(a, b) + kl(b, a)).sum(dim=1))
    assert jeffreys(p, p).abs().max() == 0


def test_wider_posteriors_do_not_hide_a_difference_of_means():
    latent = LATENTS[0]
    log_scale = torch.zeros(5, latent.num_copies, requires_grad=True)
    p = GaussianPosterior(latent, torch.randn(5, latent.dim), log_scale)
    q = GaussianPosterior(latent, torch.randn(5, latent.dim), log_scale)
    jeffreys(p, q).sum().backward()
    assert log_scale.grad.abs().max() < 1e-12


def test_motions_follow_the_symmetry_and_the_disc():
    penalty = EncoderPenalty(PlaneMotions.cyclic(4), shift=3.0)
    g = penalty.draw(torch.zeros(200, 1, 8, 8))
    assert g.dtype == torch.float64 and g.shape == (200, 4)
    assert g[:, 0].abs().max() == 0
    assert set((g[:, 1] / 1.5707963).round(decimals=4).tolist()) == {0, 1, 2, 3}
    assert 2 < g[:, 2:].norm(dim=1).max() <= 3.0
