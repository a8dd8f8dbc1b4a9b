"""Densities against torch.distributions, and what one variance for each irrep copy buys."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from eqvae.distributions import (
    BernoulliLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
    GaussianPrior,
    bounded,
)
from eqvae.symmetry import Representation, Similarities, log_scale_of, motion
from tests.cases import BY_NAME, LATENTS, SYMMETRIES, draw, latent_id

EVERY_LATENT = pytest.mark.parametrize("latent", LATENTS, ids=latent_id)
EVERY_SYMMETRY = pytest.mark.parametrize("symmetry", SYMMETRIES, **BY_NAME)


def posterior(latent: Representation, n: int = 6) -> GaussianPosterior:
    loc = torch.randn(n, latent.dim, dtype=torch.float64)
    return GaussianPosterior(latent, loc, 0.5 * torch.randn(n, latent.num_copies).double())


def prior(latent: Representation, position_scale: float = 5.0) -> GaussianPrior:
    return GaussianPrior(latent, position_scale).double()


@EVERY_LATENT
def test_kl_by_block_is_that_of_torch(latent):
    q, p = posterior(latent), prior(latent, position_scale=3.0)
    by_coordinate = kl_divergence(Normal(q.loc, q.scale), Normal(torch.zeros_like(q.loc), p.scale))
    kl = p.kl(q)
    assert list(kl) == [block.name for block in latent.blocks]
    for block in latent.blocks:
        torch.testing.assert_close(kl[block.name], by_coordinate[:, block.slice].sum(dim=1))
        assert (kl[block.name] >= 0).all()


@EVERY_LATENT
def test_kl_is_zero_at_the_prior_and_nowhere_near_it(latent):
    p = prior(latent)
    scales = torch.ones(1, latent.num_copies, dtype=torch.float64)
    if latent.position:
        scales[:, 0] = 5.0
    q = GaussianPosterior(latent, torch.zeros(1, latent.dim).double(), scales.log())
    assert all(kl.item() == pytest.approx(0, abs=1e-14) for kl in p.kl(q).values())
    moved = GaussianPosterior(latent, q.loc + 0.1, q.log_scale)
    wider = GaussianPosterior(latent, q.loc, q.log_scale + 0.1)
    assert all(kl.item() > 1e-5 for other in (moved, wider) for kl in p.kl(other).values())


@EVERY_LATENT
@EVERY_SYMMETRY
def test_turns_and_mirrors_change_neither_kl_nor_prior(symmetry, latent):
    q, p, g = posterior(latent), prior(latent), draw(symmetry, 6, shift=0)
    for before, after in zip(p.kl(q).values(), p.kl(q.act(g)).values(), strict=True):
        torch.testing.assert_close(after, before)
    z = q.rsample()
    torch.testing.assert_close(p.log_prob(latent.act(g, z)), p.log_prob(z))


@EVERY_LATENT
@EVERY_SYMMETRY
def test_the_posterior_moves_with_its_draws(symmetry, latent):
    """Density of g z under g q equals that of z under q, shifts included: Sigma commutes with rho."""
    q, g = posterior(latent), draw(symmetry, 6)
    z = q.rsample()
    torch.testing.assert_close(q.act(g).log_prob(latent.act(g, z)), q.log_prob(z))


def test_the_posterior_of_a_scaled_object_is_wider_by_its_scale():
    """p(g z) dg z = p(z) dz: the position's area grows by e^2s, and nothing else is stretched."""
    latent = Representation((3, 2), scale=True)
    q, g = posterior(latent), draw(Similarities(), 6)
    z = q.rsample()
    moved = q.act(g).log_prob(latent.act(g, z))
    torch.testing.assert_close(moved + 2 * log_scale_of(g), q.log_prob(z))
    torch.testing.assert_close(
        q.act(g).position_scale, q.position_scale * log_scale_of(g).exp()[:, None]
    )


def test_one_variance_for_each_coordinate_would_not_move():
    """A control: turn a posterior that has two variances within one copy of psi_1."""
    latent = Representation((0, 1), position=False)
    g, loc = motion(angle=math.pi / 4).double(), torch.zeros(1, 2, dtype=torch.float64)
    scale = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    z = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    still = Normal(loc, scale).log_prob(z).sum()
    moved = Normal(latent.act(g, loc), scale).log_prob(latent.act(g, z)).sum()
    assert abs(moved - still) > 0.05


def test_draws_have_the_posteriors_mean_and_covariance():
    """Statistics of g z, z ~ q, are those of g q; five standard errors."""
    n, latent = 40_000, Representation((1, 2), sign=1)
    q, g = posterior(latent, 1), motion(angle=0.7, shift=(3.0, -1.0), reflection=1.0).double()
    many = GaussianPosterior(latent, q.loc.expand(n, -1), q.log_scale.expand(n, -1))
    z = latent.act(g, many.rsample())
    expected = q.act(g)
    deviation = expected.scale[0]
    assert ((z.mean(dim=0) - expected.mode[0]).abs() < 5 * deviation / math.sqrt(n)).all()
    error = (torch.cov(z.T) - deviation.square().diag()).abs()
    assert (error < 5 * deviation.outer(deviation) * math.sqrt(2 / n)).all()


@EVERY_LATENT
def test_log_densities_are_those_of_torch(latent):
    q, p = posterior(latent), prior(latent)
    z = q.rsample()
    torch.testing.assert_close(q.log_prob(z), Independent(Normal(q.loc, q.scale), 1).log_prob(z))
    standard = Independent(Normal(torch.zeros(latent.dim).double(), p.scale), 1)
    torch.testing.assert_close(p.log_prob(z), standard.log_prob(z))


def test_draws_repeat_with_the_generator_and_pass_gradients():
    q = posterior(LATENTS[0])
    a, b = (q.rsample(torch.Generator().manual_seed(1)) for _ in "ab")
    assert torch.equal(a, b)
    p = prior(LATENTS[0])
    a, b = (p.sample(3, torch.Generator().manual_seed(1)) for _ in "ab")
    assert torch.equal(a, b) and a.shape == (3, LATENTS[0].dim)
    log_scale = q.log_scale.clone().requires_grad_()
    GaussianPosterior(q.representation, q.loc, log_scale).rsample().sum().backward()
    assert (log_scale.grad != 0).all()


def images() -> tuple[Tensor, Tensor]:
    return torch.rand(4, 2, 5, 5).double(), torch.randn(4, 2, 5, 5).double()


def test_gaussian_likelihood_is_that_of_torch():
    x, decoded = images()
    likelihood = GaussianLikelihood(variance=0.3).double()
    expected = Independent(Normal(decoded, math.sqrt(0.3)), 3).log_prob(x)
    torch.testing.assert_close(likelihood.log_prob(x, decoded), expected, rtol=1e-6, atol=1e-6)
    perfect = likelihood.log_prob(x, x)
    torch.testing.assert_close(likelihood.constant(x).expand(4), perfect)
    assert torch.equal(likelihood.mean(decoded), decoded)


def test_bernoulli_likelihood_is_that_of_torch():
    x, decoded = images()
    x = x.round()
    likelihood = BernoulliLikelihood()
    expected = Independent(Bernoulli(logits=decoded), 3).log_prob(x)
    torch.testing.assert_close(likelihood.log_prob(x, decoded), expected)
    torch.testing.assert_close(likelihood.mean(decoded), decoded.sigmoid())
    assert likelihood.constant(x) == 0


def test_learnable_noise_finds_the_mean_squared_error():
    x, decoded = images()
    likelihood = GaussianLikelihood(variance=0.5, learnable=True).double()
    optimizer = torch.optim.LBFGS(likelihood.parameters(), max_iter=50)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -likelihood.log_prob(x, decoded).mean()
        value.backward()
        return value

    loss()
    assert likelihood.log_variance.grad != 0
    optimizer.step(loss)
    error = (x - decoded).square().mean()
    torch.testing.assert_close(likelihood.log_variance.exp(), error, rtol=1e-4, atol=0)
    assert not list(GaussianLikelihood(variance=0.5).parameters())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_scales_are_positive(value):
    with pytest.raises(ValueError, match="variance must be positive; got"):
        GaussianLikelihood(variance=value)
    with pytest.raises(ValueError, match=r"position_scale must be positive \(pixels\); got"):
        GaussianPrior(LATENTS[0], position_scale=value)


@pytest.mark.parametrize("size", [0.0, 3.0, 100.0, 1e4])
def test_the_law_of_the_angle_is_a_law_however_narrow(size):
    latent = Representation((1, 1))
    loc = torch.tensor([[0.0, 0.0, 0.5, size * math.cos(1.003), size * math.sin(1.003)]]).double()
    density = GaussianPosterior(latent, loc, torch.zeros(1, latent.num_copies).double())
    density = density.angle_log_density().exp()
    assert density.mean().item() == pytest.approx(1)
    if size:
        assert abs(density.argmax().item() * 2 * math.pi / 360 - 1.003) < math.pi / 360


def test_bounds_let_the_gradient_back_inside_and_no_further_out():
    x = torch.tensor([-4.0, -2.0, 0.5, 2.0, 4.0], requires_grad=True)
    torch.testing.assert_close(bounded(x, -2.0, 2.0), x.detach().clamp(-2, 2))
    for slope, passes in ((1.0, [0, 0, 1, 1, 1]), (-1.0, [1, 1, 1, 0, 0])):  # descent: - slope
        (grad,) = torch.autograd.grad(slope * bounded(x, -2.0, 2.0).sum(), x)
        assert grad.tolist() == [slope * p for p in passes]


def test_bounds_have_the_forward_derivative_of_a_clamp():
    x = torch.tensor([-4.0, 0.5, 4.0])
    for bound in (lambda x: bounded(x, -2.0, 2.0), lambda x: x.clamp(-2, 2)):
        _, slope = torch.func.jvp(bound, (x,), (torch.full_like(x, 3.0),))
        assert slope.tolist() == [0, 3, 0]


def test_what_was_thrown_out_comes_back_which_under_a_clamp_it_does_not():
    def after_descent(bound) -> float:
        x = torch.nn.Parameter(torch.tensor(5.0))
        optimizer = torch.optim.SGD([x], lr=0.5)
        for _ in range(40):
            optimizer.zero_grad()
            (bound(x) + 1).square().backward()
            optimizer.step()
        return x.item()

    assert after_descent(lambda x: bounded(x, -7.0, 3.0)) == pytest.approx(-1, abs=1e-3)
    assert after_descent(lambda x: x.clamp(-7, 3)) == 5.0  # the control
