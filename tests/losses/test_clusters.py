"""Clusters that deformations keep: mutual information against closed forms, and what the penalty moves."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import mutual_info_score
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.priors import MixtureContent, PosedPrior
from eqvae.losses import ClusterPenalty
from eqvae.losses.clusters import mutual_information
from eqvae.models.pose_vae import PoseVAE
from eqvae.pose.deform import RandomDeformation
from tests.cases import basis
from tests.models.test_pose_vae import DEGREE, LATENT, SIZE, made, scenes

K = 5
SEEDS = pytest.mark.parametrize("seed", range(4))


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def one_hot(labels: Tensor) -> Tensor:
    return F.one_hot(labels, K).double()


def rows(seed: int, n: int = 40, sharpness: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(n, K, generator=generator)).softmax(dim=1)


@SEEDS
def test_of_hard_labels_it_is_the_score_of_scikit_learn(seed):
    """Exchangeable: every pair is counted both ways round."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(K, (200,), generator=generator)
    b = torch.where(torch.rand(200, generator=generator) < 0.6, a, a.flip(0))
    expected = mutual_info_score(torch.cat([a, b]), torch.cat([b, a]))
    value = mutual_information(one_hot(a), one_hot(b))
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert abs(value - mutual_info_score(a, a)) > 0.1  # control


def test_labels_that_agree_and_are_used_alike_share_log_k():
    p = one_hot(torch.arange(4 * K) % K)
    assert mutual_information(p, p).item() == pytest.approx(math.log(K), abs=1e-6)
    uneven = one_hot(torch.tensor([0, 0, 0, 1]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert mutual_information(uneven, uneven).item() == pytest.approx(entropy, abs=1e-6)


def test_independent_labels_share_nothing():
    grid = torch.cartesian_prod(torch.arange(K), torch.arange(K))  # every pair once
    assert abs(mutual_information(one_hot(grid[:, 0]), one_hot(grid[:, 1]))) < 1e-6
    constant = rows(0, 1).expand(30, -1)
    assert abs(mutual_information(constant, constant)) < 1e-6


@SEEDS
def test_it_is_symmetric_and_between_zero_and_log_k(seed):
    p, q = rows(seed), rows(seed + 10)
    value = mutual_information(p, q)
    torch.testing.assert_close(mutual_information(q, p), value)
    order = torch.randperm(K)
    torch.testing.assert_close(mutual_information(p[:, order], q[:, order]), value)
    assert 0 < value < mutual_information(p, p) < math.log(K)


def test_the_gradient_is_finite_where_rows_are_certain():
    p = one_hot(torch.arange(20) % 2).requires_grad_()  # and three labels are never used
    q = one_hot((torch.arange(20) + 1) % 3).requires_grad_()
    for other in (q, p):
        (gradient,) = torch.autograd.grad(mutual_information(p, other), p)
        assert gradient.isfinite().all() and gradient.abs().max() > 0


@SEEDS
def test_ascent_finds_certain_labels_used_alike(seed):
    """From rows that say almost nothing, and nearly to the top: shares freeze once rows are certain."""
    torch.manual_seed(seed)
    logits = (0.1 * torch.randn(10 * K, K)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.2)
    assert mutual_information(logits.softmax(1), logits.softmax(1)) < 0.01
    for _ in range(150):
        optimizer.zero_grad()
        p = logits.softmax(dim=1)
        (-mutual_information(p, p)).backward()
        optimizer.step()
    assert mutual_information(p, p) > 0.9 * math.log(K)
    assert p.max(dim=1).values.min() > 0.99 and p.mean(dim=0).min() > 0.25 / K


def clustering(scale: float = 0.15, **settings) -> PoseVAE:
    prior = PosedPrior(LATENT, MixtureContent(4, components=3))
    scales = {"scale": scale, "shear": scale}
    settings = {
        "prior": prior,
        "deform": RandomDeformation(basis(SIZE, degree=DEGREE), scales, bank=8, groups=4),
        **settings,
    }
    return made(**settings).train()


def images(noise: float = 0.1) -> Tensor:
    x = scenes().render().repeat(5, 1, 1, 1)
    return x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def started() -> PoseVAE:
    vae = clustering()
    with torch.no_grad():
        vae.prior.content.start(*vae.content_of(Batch(images())), seed=0)
    return vae


def penalty(vae: PoseVAE) -> Tensor:
    x = images()
    return ClusterPenalty()(vae, Batch(x), vae.score(Batch(x)))


def test_before_the_prior_has_started_nothing_is_paid():
    value = penalty(clustering())
    assert value.shape == () and value == 0


def test_the_penalty_lies_between_zero_and_log_k():
    value = penalty(started())
    assert value.shape == () and 0 < value < math.log(3)


@torch.no_grad()
def test_certain_clusters_that_stay_pay_nothing():
    """Three objects alike in number, components far apart, and no deformation."""
    vae, x = clustering(scale=0.0), images(noise=0.0)
    vae.encoder.register_forward_hook(
        lambda encoder, seen, q: ContentPosterior(q.loc, torch.full_like(q.loc, -7.0))
    )
    prior = vae.prior.content
    prior.start(*vae.content_of(Batch(x)), seed=0)
    prior.log_scale.fill_(-5.0)
    assert abs(ClusterPenalty()(vae, Batch(x), vae.score(Batch(x)))) < 1e-6
    prior.log_scale.fill_(3.0)
    assert ClusterPenalty()(vae, Batch(x), vae.score(Batch(x))) > 0.9 * math.log(
        3
    )  # control: nothing is told apart


def test_the_gradient_reaches_the_encoder_and_the_prior():
    vae = started()
    penalty(vae).backward()
    for part in (vae.encoder, vae.prior):
        for name, parameter in part.named_parameters():
            if parameter.numel():
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name
                assert parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in vae.decoder.parameters())  # control


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": None}, "prior NormalContent"),
        ({"deform": None}, "prior MixtureContent and deform=None"),
    ],
)
def test_other_models_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClusterPenalty().check(clustering(**settings))
