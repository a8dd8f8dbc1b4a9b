"""Priors of content and of whole latents: densities, draws and KL against closed forms and each other."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.posed import PosedPosterior, to_latent
from eqvae.distributions.priors import (
    ContentPrior,
    MixtureContent,
    NormalContent,
    PosedPrior,
    VampContent,
)
from eqvae.pose.template import ContentEncoder
from eqvae.symmetry import PlaneMotions, Representation
from tests.cases import basis, draw

DIM, BASIS = 3, basis(33, degree=12)
LATENT = Representation((DIM, 1))
KINDS = ["normal", "mixture", "vamp"]
ALL = pytest.mark.parametrize("kind", KINDS)
STARTED = pytest.mark.parametrize("started", [False, True], ids=["new", "started"])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def encoder() -> ContentEncoder:
    return ContentEncoder(BASIS, LATENT, PlaneMotions.so2(), hidden=8)


def clusters(n: int = 300) -> tuple[Tensor, ContentPosterior]:
    """Coefficients of nothing in particular, and contents around three places."""
    centres = torch.tensor([[2.0, 0.0, 0.0], [-2.0, 1.0, 0.0], [0.0, -2.0, 1.0]])
    loc = centres.repeat_interleave(n // 3, 0) + 0.2 * torch.randn(n, DIM)
    coefficients = 0.3 * torch.randn(n, 1, encoder().harmonics.dim)
    return coefficients, ContentPosterior(loc, torch.full_like(loc, math.log(0.1)))


def made(kind: str, started: bool = True) -> ContentPrior:
    """A prior, with an encoder lent to it that the test can find as `.lent`."""
    if kind == "normal":
        prior = NormalContent(DIM)
    elif kind == "mixture":
        prior = MixtureContent(DIM, components=3)
    else:
        prior = VampContent(DIM, BASIS, components=6)
    lent = encoder()
    prior.bind(lent)
    prior.__dict__["lent"] = lent
    if started:
        prior.start(*clusters(), seed=0)
    return prior


@ALL
@STARTED
def test_draws_follow_the_density(kind, started):
    """E_p[q / p] = 1 for a narrow distribution q where p is dense."""
    prior, n = made(kind, started), 20_000
    c = prior.sample(n, torch.Generator().manual_seed(0)).detach()
    assert c.shape == (n, DIM)
    log_p = prior.log_prob(c).detach()
    inside = Normal(c[log_p.argmax()], 0.2)
    ratio = (inside.log_prob(c).sum(dim=1) - log_p).exp()
    error = 4 * ratio.std() / math.sqrt(n)
    assert error < 0.3  # the test can tell
    assert abs(ratio.mean() - 1) < error
    wrong = (inside.log_prob(1.4 * c).sum(dim=1) - log_p).exp()
    assert abs(wrong.mean() - 1) > error  # control: other draws


@ALL
def test_before_the_start_it_is_a_standard_normal(kind):
    prior, c = made(kind, started=False), torch.randn(10, DIM)
    torch.testing.assert_close(prior.log_prob(c), Normal(0.0, 1.0).log_prob(c).sum(dim=1))
    assert prior.responsibilities(c) is None
    if kind != "normal":
        started = made(kind)
        assert (started.log_prob(c) - prior.log_prob(c)).abs().max() > 1  # control


@ALL
@STARTED
def test_one_draw_estimates_the_kl(kind, started):
    prior = made(kind, started)
    loc, log_scale = torch.randn(1, DIM), -1 + 0.3 * torch.randn(1, DIM)
    n = 4000
    q = ContentPosterior(loc.expand(n, -1), log_scale.expand(n, -1))
    c = q.rsample(torch.Generator().manual_seed(0))
    values = (q.log_prob(c) - prior.log_prob(c)).detach()
    ours = prior.kl(q, c).detach()
    assert abs(ours.mean() - values.mean()) < 4 * values.std() / math.sqrt(n) + 1e-9
    assert ours.mean() > 0
    if kind == "normal":
        closed = kl_divergence(Normal(loc, log_scale.exp()), Normal(0.0, 1.0)).sum(dim=1)
        torch.testing.assert_close(ours, closed.expand(n))


def test_the_mixture_is_torchs():
    prior = MixtureContent(DIM, components=4)
    for parameter in prior.parameters():
        nn.init.normal_(parameter)
    parts = Independent(Normal(prior.loc, prior.log_scale.exp()), 1)
    mixture = MixtureSameFamily(Categorical(logits=prior.logits), parts)
    c = torch.randn(20, DIM)
    torch.testing.assert_close(prior.log_prob(c), mixture.log_prob(c))
    prior.started.fill_(1.0)
    joint = parts.log_prob(c[:, None]) + prior.logits.log_softmax(0)
    torch.testing.assert_close(prior.responsibilities(c), joint.softmax(dim=1))
    prior.log_prob(c).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in prior.parameters())


def test_the_mixture_starts_at_the_clusters():
    prior = made("mixture")
    _, posterior = clusters()
    shares = prior.responsibilities(posterior.loc)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(300))
    by_cluster = shares.argmax(dim=1).reshape(3, 100)
    assert all(len(row.unique()) == 1 for row in by_cluster)
    assert len(by_cluster[:, 0].unique()) == 3
    # draws of q are scored, so the noise of q is added to the spread of the means
    expected = torch.full((3, DIM), 0.5 * math.log(0.2**2 + 0.1**2))
    torch.testing.assert_close(prior.log_scale.detach(), expected, atol=0.25, rtol=0)
    assert prior.started == 1 and "started" in prior.state_dict()


def test_the_vamp_prior_is_the_mean_of_posteriors():
    prior, c = made("vamp"), torch.randn(10, DIM)
    q = prior.lent(prior.pseudo)
    each = Normal(q.loc, q.log_scale.exp()).log_prob(c[:, None]).sum(dim=2).exp()
    torch.testing.assert_close(prior.log_prob(c).exp(), each.mean(dim=1))
    prior.log_prob(c).sum().backward()
    assert prior.pseudo.grad.flatten(1).abs().sum(dim=1).min() > 0
    # through the encoder too
    assert all(p.grad is not None for p in prior.lent.parameters() if p.numel())
    assert prior.responsibilities(c) is None


def test_the_vamp_prior_owns_only_its_pseudo_images():
    prior = made("vamp")
    assert [name for name, _ in prior.named_parameters()] == ["pseudo"]
    assert set(prior.state_dict()) == {"pseudo", "started"}
    coefficients, _ = clusters()
    torch.manual_seed(0)
    fresh = made("vamp", started=False)
    fresh.start(coefficients, clusters()[1], seed=1)
    nearest = (fresh.pseudo[:, None] - coefficients).abs().amax(dim=(2, 3)).amin(dim=1)
    assert (nearest == 0).all()  # they are training images


@ALL
@STARTED
def test_priors_come_back(kind, started):
    prior, other, c = made(kind, started), made(kind, started=False), torch.randn(5, DIM)
    other.load_state_dict(prior.state_dict())
    other.bind(prior.lent)
    assert torch.equal(other.log_prob(c), prior.log_prob(c))


def test_a_mixture_has_components():
    with pytest.raises(ValueError, match="components must be at least 2; got 1. Use NormalContent"):
        MixtureContent(DIM, components=1)


def posed(sign: int = 0) -> tuple[PosedPrior, Representation]:
    latent = Representation((DIM, 1), sign=sign)
    return PosedPrior(latent, position_scale=3.0), latent


@pytest.mark.parametrize("sign", [0, 1])
def test_latents_drawn_have_uniform_poses(sign):
    prior, latent = posed(sign)
    n = 10_000
    z = prior.sample(n, torch.Generator().manual_seed(0))
    assert z.shape == (n, latent.dim)
    u = z[:, -2:]
    torch.testing.assert_close(u.norm(dim=1), torch.ones(n))
    assert (u.mean(dim=0).abs() < 4 / math.sqrt(n)).all()
    torch.testing.assert_close(z[:, :2].std(dim=0), torch.full((2,), 3.0), rtol=0.05, atol=0)
    if sign:
        chirality = z[:, 2 + DIM]
        assert set(chirality.tolist()) == {-1.0, 1.0} and abs(chirality.mean()) < 4 / math.sqrt(n)
    turned = latent.act(draw(PlaneMotions.o2() if sign else PlaneMotions.so2(), n, shift=0.0), z)
    torch.testing.assert_close(
        prior.log_prob(turned), prior.log_prob(z)
    )  # rotations change nothing
    content, place = z[:, 2 : 2 + DIM], z[:, :2]
    expected = Normal(0.0, 1.0).log_prob(content).sum(1) + Normal(0.0, 3.0).log_prob(place).sum(1)
    torch.testing.assert_close(prior.log_prob(z), expected)


@pytest.mark.parametrize("sign", [0, 1])
def test_the_kl_of_a_latent_is_split_and_estimated(sign):
    """Against the closed KL of one narrow Gaussian; one draw has the right mean."""
    prior, latent = posed(sign)
    n, scale = 4000, torch.tensor([0.1, 0.5, 0.5])
    bins = torch.tensor([0.0, 0.7, 1.0, -2.0]).expand(n, 1, 4)
    pose = PosePosterior(bins, torch.zeros(n, 1), torch.diag(scale**2).expand(n, 3, 3), bool(sign))
    content = ContentPosterior(torch.ones(n, DIM), torch.full((n, DIM), -0.5))
    kl = prior.kl(PosedPosterior(latent, content, pose))
    assert set(kl) == {"psi0", "pose"}
    angle = math.log(2 * math.pi) - 0.5 * math.log(2 * math.pi * math.e * 0.1**2)
    place = kl_divergence(Normal(bins[0, 0, 2:], 0.5), Normal(0.0, 3.0)).sum()
    expected = angle + place + sign * math.log(2)
    assert abs(kl["pose"].mean() - expected) < 4 * math.sqrt(1.5 / n) + 1e-3
    closed = kl_divergence(Normal(content.loc, content.log_scale.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl["psi0"], closed.sum(dim=1))


def test_a_prior_of_latents_wants_one_pose():
    with pytest.raises(ValueError, match="Choose latent=pose"):
        PosedPrior(Representation((3, 2)))
    with pytest.raises(ValueError, match=r"position_scale must be positive \(pixels\); got -1"):
        PosedPrior(LATENT, position_scale=-1.0)


def test_densities_of_latents_are_with_respect_to_the_same_measure():
    """q(z|x) and p(z) of one z: their difference is the integrand of the KL."""
    prior, latent = posed()
    pose = PosePosterior(
        torch.zeros(2, 1, 4), torch.zeros(2, 1), 0.01 * torch.eye(3).expand(2, 3, 3)
    )
    q = PosedPosterior(latent, ContentPosterior(torch.zeros(2, DIM), torch.zeros(2, DIM)), pose)
    z = q.rsample()
    c, g = (
        z[:, 2 : 2 + DIM],
        torch.cat([torch.zeros(2, 1), torch.atan2(z[:, -1:], z[:, -2:-1]), z[:, :2]], 1),
    )
    torch.testing.assert_close(to_latent(latent, c, g), z)
    gap = q.log_prob(z) - prior.log_prob(z)
    expected = q.pose.log_prob(g) - prior.pose.log_prob(g)  # content is the prior's
    torch.testing.assert_close(gap, expected)
