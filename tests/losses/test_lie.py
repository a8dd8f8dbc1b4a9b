"""The Lie penalty: zero for what moves exactly, equal to the derivatives of what does not."""

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.losses import LiePenalty
from eqvae.models.vae import VAE
from eqvae.symmetry import PlaneMotions, inverse, motion
from eqvae.testing import GaussianScenes
from tests.cases import move
from tests.losses.models import LATENT, SIZE, vae
from tests.toys import toy_vae


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def value(model: VAE, n: int = 6, **settings: float) -> torch.Tensor:
    torch.manual_seed(1)
    return LiePenalty(PlaneMotions.so2(), **settings)(
        model, Batch(GaussianScenes(n, size=SIZE).render()), None
    )


@pytest.mark.parametrize("family", ["toy", "harmonic"])
def test_what_moves_exactly_pays_nothing(family):
    plain = value(vae("plain"))
    assert plain > 0.1
    assert 0 <= value(vae(family)) < 1e-3 * plain


def derivative(model: VAE, x: torch.Tensor, g: torch.Tensor, step: float) -> torch.Tensor:
    """d/ds rho(g_s)^-1 E(g_s x) by a central difference, (B, D)."""
    act = model.representation.act
    ahead, behind = (
        act(inverse(h), model.encode(Batch(move(h, x, "fourier"))).mode) for h in (g, -g)
    )
    return (ahead - behind) / (2 * step)


@torch.no_grad()
def test_the_mean_over_signs_is_the_sum_over_generators():
    model, x, shift, step = vae("plain"), GaussianScenes(1, size=SIZE).render(), 3.0, 1e-3
    generators = [motion(step), motion(shift=(shift * step, 0)), motion(shift=(0, shift * step))]
    total = sum(derivative(model, x, g, step).square() for g in generators)
    penalty = LiePenalty(PlaneMotions.so2(), shift, step=step)
    drawn = torch.cat([penalty.draw(x) for _ in range(100)]).unique(dim=0)
    assert len(drawn) == 8 and (drawn[:, 1].abs() == step).all()
    mean = sum(derivative(model, x, g[None], step).square() for g in drawn) / 8
    torch.testing.assert_close(mean, total, rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_every_block_is_relative_to_itself_and_its_velocity():
    model, x, step = vae("plain"), GaussianScenes(1, size=SIZE).render(), 1e-3
    penalty, g = LiePenalty(PlaneMotions.so2(), 2.0, step=step), motion(step, (2 * step, -2 * step))
    penalty.draw = lambda x: g
    z, d = model.encode(Batch(x)).mode, derivative(model, x, g, step).square()
    velocity = (LATENT.act(g, z) - LATENT.act(-g, z)) / (2 * step)
    size = z.square() + velocity.square()
    parts = [block.slice for block in LATENT.blocks]
    expected = sum(d[:, part].mean() / (size[:, part].mean() + 1e-6) for part in parts)
    torch.testing.assert_close(penalty(model, Batch(x), None), expected, rtol=1e-3, atol=0)


def test_the_step_does_not_matter_when_it_is_small():
    """Fourier interpolation differentiates; twice the step, four times the (small) error."""
    fine, usual = value(vae("plain"), step=0.01), value(vae("plain"))
    torch.testing.assert_close(usual, fine, rtol=0.05, atol=0)


def test_gradients_reach_the_encoder_alone():
    model = vae("plain")
    value(model).backward()
    for name, parameter in model.encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.decoder.parameters())


def test_descent_makes_a_biased_model_exact():
    model = toy_vae(SIZE, bias=0.7)
    before = value(model).item()
    optimizer = torch.optim.Adam([model.encoder.bias], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        value(model).backward()
        optimizer.step()
    assert model.encoder.bias.abs() < 0.1
    assert value(model) < 0.05 * before


def test_finite_groups_have_no_derivative():
    with pytest.raises(ValueError, match=r"symmetry must be SO\(2\) or O\(2\) .* got C4"):
        LiePenalty(PlaneMotions.cyclic(4))
