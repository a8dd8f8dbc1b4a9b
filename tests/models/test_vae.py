"""The wiring: shapes, refusals, and the ELBO against a model whose evidence is known in closed form."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPosterior, GaussianPrior
from eqvae.models.vae import VAE
from eqvae.symmetry import Representation, motion
from tests.toys import toy_vae

LATENT = Representation((3,), position=False)
SIZE, VARIANCE = 4, 0.1


class LinearDecoder(nn.Module):
    """x = W z with orthogonal columns, so that the exact posterior has independent coordinates."""

    representation = LATENT

    def __init__(self):
        super().__init__()
        columns = torch.linalg.qr(torch.randn(SIZE**2, LATENT.dim)).Q
        self.register_buffer("weight", columns * torch.tensor([0.3, 1.0, 2.0]))

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.weight.T).reshape(-1, 1, SIZE, SIZE)


class LinearEncoder(nn.Module):
    """The exact posterior of `LinearDecoder`, with errors in mean and log-scale if asked for."""

    representation = LATENT

    def __init__(self, weight: Tensor, error: float = 0.0):
        super().__init__()
        self.weight = weight
        self.error = error

    def forward(self, x: Tensor) -> GaussianPosterior:
        precision = 1 + self.weight.square().sum(dim=0) / VARIANCE
        loc = x.flatten(1) @ self.weight / VARIANCE / precision
        log_scale = (-0.5 * precision.log()).expand(len(x), -1)
        return GaussianPosterior(LATENT, loc + self.error, log_scale + self.error)


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_the_elbo_is_evidence_minus_the_gap(error):
    """ELBO = log p(x) - KL(q || exact posterior), within five standard errors of n draws."""
    torch.set_default_dtype(torch.float64)
    n, decoder = 20_000, LinearDecoder()
    exact, q = LinearEncoder(decoder.weight), LinearEncoder(decoder.weight, error)
    vae = VAE(q, decoder, GaussianPrior(LATENT), GaussianLikelihood(VARIANCE))
    covariance = decoder.weight @ decoder.weight.T + VARIANCE * torch.eye(SIZE**2)
    evidence = MultivariateNormal(torch.zeros(SIZE**2), covariance)
    x = evidence.sample()
    elbo = vae.score(Batch(x.reshape(1, 1, SIZE, SIZE).expand(n, -1, -1, -1))).elbo
    a, b = (part(x.reshape(1, 1, SIZE, SIZE)) for part in (q, exact))
    gap = torch.distributions.kl_divergence(
        torch.distributions.Normal(a.loc, a.scale), torch.distributions.Normal(b.loc, b.scale)
    ).sum()
    expected = evidence.log_prob(x) - gap
    assert (elbo.mean() - expected).abs() < 5 * elbo.std() / math.sqrt(n)
    assert gap > 0.3 if error else gap == 0


def test_parts_must_speak_one_representation():
    other = Representation((2,), position=False)
    decoder = LinearDecoder()
    with pytest.raises(
        ValueError, match="encoder, decoder and prior must share one representation"
    ):
        VAE(LinearEncoder(decoder.weight), decoder, GaussianPrior(other), GaussianLikelihood())


def test_one_pass_gives_numbers_for_each_image():
    vae, x = toy_vae(size=20), torch.rand(3, 1, 20, 20)
    output = vae.score(Batch(x))
    blocks = [block.name for block in vae.representation.blocks]
    assert output.reconstruction.shape == x.shape
    assert list(output.kl) == blocks
    assert output.elbo.shape == output.kl_total.shape == output.log_likelihood.shape == (3,)
    torch.testing.assert_close(output.elbo, output.log_likelihood - sum(output.kl.values()))
    assert not torch.equal(output.z, output.posterior.mode)
    assert torch.equal(vae.score(Batch(x), sample=False).z, vae.encode(Batch(x)).mode)


def test_draws_from_the_prior_repeat_with_the_generator():
    vae = toy_vae(size=20)
    a, b = (vae.sample(2, torch.Generator().manual_seed(0)) for _ in "ab")
    assert a.shape == (2, 1, 20, 20) and torch.equal(a, b)


def test_transform_moves_what_the_image_shows():
    vae = toy_vae(size=41)
    x = vae.decode(torch.tensor([[1.0, 2.0, 1.0, 0.3, 0.1]]))
    g = motion(angle=math.pi / 2, shift=(-2.0, 1.0))
    expected = vae.decode(vae.representation.act(g, vae.encode(Batch(x)).mode))
    torch.testing.assert_close(vae.transform(g, Batch(x)), expected)
    by_hand = torch.rot90(vae.decode(vae.encode(Batch(x)).mode), 1, (-2, -1)).roll(
        (-1, -2), (-2, -1)
    )
    torch.testing.assert_close(vae.transform(g, Batch(x)), by_hand, atol=1e-4, rtol=0)
