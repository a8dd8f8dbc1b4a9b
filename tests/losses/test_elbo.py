"""The reported terms: sums over the event, means over the batch, and how they hang together."""

import math

import torch

from eqvae.data.batch import Batch
from eqvae.distributions import BernoulliLikelihood, GaussianLikelihood
from eqvae.losses import batch_means
from tests.toys import toy_vae


def test_terms_and_their_identities():
    vae, x = toy_vae(20), torch.rand(6, 1, 20, 20)
    output = vae.score(Batch(x))
    terms = batch_means(output, vae.likelihood.constant(x))
    blocks = [f"kl/{block.name}" for block in vae.representation.blocks]
    assert set(terms) == {"elbo", "log_likelihood", "kl", "free_energy", "squared_error", *blocks}
    assert all(value.shape == () for value in terms.values())
    torch.testing.assert_close(terms["elbo"], terms["log_likelihood"] - terms["kl"])
    torch.testing.assert_close(terms["kl"], sum(terms[name] for name in blocks))
    error = (x - output.reconstruction).square().sum() / 6
    torch.testing.assert_close(terms["squared_error"], error)
    torch.testing.assert_close(terms["free_energy"], error / (2 * 0.02) + terms["kl"])
    constant = -0.5 * 400 * (math.log(2 * math.pi) + math.log(0.02))
    torch.testing.assert_close(terms["elbo"], constant - terms["free_energy"])


def test_the_mean_does_not_depend_on_the_batch():
    vae, x = toy_vae(20), torch.rand(3, 1, 20, 20)
    once = batch_means(vae.score(Batch(x), sample=False), vae.likelihood.constant(x))
    twice = torch.cat([x, x])
    again = batch_means(vae.score(Batch(twice), sample=False), vae.likelihood.constant(twice))
    for name, value in once.items():
        torch.testing.assert_close(again[name], value)


def test_the_free_energy_of_a_bernoulli_model_is_minus_the_elbo():
    vae, x = toy_vae(20), torch.rand(3, 1, 20, 20).round()
    vae.likelihood = BernoulliLikelihood()
    terms = batch_means(vae.score(Batch(x)), vae.likelihood.constant(x))
    torch.testing.assert_close(terms["free_energy"], -terms["elbo"])


def test_learnable_noise_leaves_the_constant_out_of_the_free_energy():
    vae, x = toy_vae(20), torch.rand(3, 1, 20, 20)
    vae.likelihood = GaussianLikelihood(variance=0.5, learnable=True)
    terms = batch_means(vae.score(Batch(x)), vae.likelihood.constant(x))
    torch.testing.assert_close(terms["free_energy"], terms["squared_error"] + terms["kl"])
